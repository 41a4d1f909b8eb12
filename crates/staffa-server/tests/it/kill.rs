//! kill -9 under load: every acknowledged record is there after a restart, and no bulk by half.
//!
//! `STAFFA_TEST_KILL_ROUNDS` sets the number of rounds and turns on the large bulks;
//! `STAFFA_TEST_KILL_SEED` repeats the moments of an earlier run.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::program::{Running, TestApp, post};

/// A record is one of a lot; a bulk is a lot of its own.
const ENTRIES: &str = "
name: entries
primary_key: [lot, number]
properties:
  - {name: lot, type: integer, required: true, indexed: true}
  - {name: number, type: integer, required: true}
  - {name: note, type: string}
";

const ROUNDS: u64 = 8;
const SMALL: u64 = 1_000;
const LARGE: u64 = 25_000;
const VERY_LARGE: u64 = 150_000;

/// A lot that was sent: the numbers that were acknowledged, of all that were sent.
#[derive(Debug, Default)]
struct Lot {
    sent: u64,
    acknowledged: HashSet<u64>,
    is_bulk: bool,
}

type Ledger = BTreeMap<u64, Lot>;

static NEXT_LOT: AtomicU64 = AtomicU64::new(1);

pub(crate) fn setting(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
    std::env::var(name).ok()?.parse().ok()
}

/// A small generator of moments: splitmix64.
pub(crate) fn random(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % below
}

/// Creates records one by one until the server is gone.
fn write_singles(address: &str) -> Ledger {
    let id = NEXT_LOT.fetch_add(1, Ordering::Relaxed);
    let mut lot = Lot::default();
    loop {
        let number = lot.sent;
        let body = format!(r#"{{"lot": {id}, "number": {number}, "note": "single"}}"#);
        lot.sent += 1;
        let path = "/api/v1/records/entries";
        match post(address, path, "application/json", body.as_bytes()) {
            Some((201, _)) => lot.acknowledged.insert(number),
            Some((status, text)) => panic!("{status}: {text}"),
            None => return Ledger::from([(id, lot)]),
        };
    }
}

/// Sends bulk after bulk until the server is gone.
fn write_bulks(address: &str, records: u64) -> Ledger {
    let mut ledger = Ledger::new();
    loop {
        let id = NEXT_LOT.fetch_add(1, Ordering::Relaxed);
        let body = (0..records).fold(String::new(), |mut body, number| {
            let _ = writeln!(
                body,
                r#"{{"lot": {id}, "number": {number}, "note": "bulk"}}"#
            );
            body
        });
        let mut lot = Lot {
            sent: records,
            is_bulk: true,
            ..Lot::default()
        };
        let path = "/api/v1/records/entries/bulk?return=none";
        let answer = post(address, path, "application/x-ndjson", body.as_bytes());
        let end = answer.is_none();
        match answer {
            Some((201, _)) => lot.acknowledged.extend(0..records),
            Some((status, text)) => panic!("{status}: {text}"),
            None => {}
        }
        ledger.insert(id, lot);
        if end {
            return ledger;
        }
    }
}

/// Writes from several clients and kills the server in the midst of it.
fn round(server: Running, large: u64, after: Duration) -> Ledger {
    let address = server.main.clone();
    std::thread::scope(|scope| {
        let address = address.as_str();
        let writers = [
            scope.spawn(move || write_singles(address)),
            scope.spawn(move || write_singles(address)),
            scope.spawn(move || write_bulks(address, SMALL)),
            scope.spawn(move || write_bulks(address, large)),
        ];
        std::thread::sleep(after);
        server.kill();
        writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect()
    })
}

/// The numbers of a lot that are stored.
fn stored(server: &Running, lot: u64) -> Vec<u64> {
    let path = format!("/api/v1/records/entries/stream?shape=data&filter[lot]={lot}");
    let (status, body) = server.get(&path);
    assert_eq!(status, 200, "{body}");
    let number = |line: &str| serde_json::from_str::<Json>(line).unwrap()["number"].as_u64();
    body.lines().map(|line| number(line).unwrap()).collect()
}

fn check(server: &Running, ledger: &Ledger, label: &str) {
    for (id, lot) in ledger {
        if lot.is_bulk {
            let count = format!("/api/v1/records/entries/count?filter[lot]={id}");
            let (status, body) = server.get(&count);
            assert_eq!(status, 200, "{body}");
            let found = serde_json::from_str::<Json>(&body).unwrap()["count"].as_u64();
            let whole = found == Some(lot.sent);
            let none = found == Some(0) && lot.acknowledged.is_empty();
            assert!(
                whole || none,
                "{label}: lot {id}: {found:?} of {}",
                lot.sent
            );
        } else {
            let found = stored(server, *id);
            let numbers: HashSet<u64> = found.iter().copied().collect();
            assert_eq!(
                numbers.len(),
                found.len(),
                "{label}: lot {id} has one record twice"
            );
            let lost = lot.acknowledged.difference(&numbers).count();
            assert_eq!(lost, 0, "{label}: lot {id} lost acknowledged records");
            assert!(
                found.iter().all(|number| *number < lot.sent),
                "{label}: lot {id}"
            );
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_no_bulk_is_halved() {
    let rounds = setting("STAFFA_TEST_KILL_ROUNDS");
    let large = if rounds.is_some() { VERY_LARGE } else { LARGE };
    let seed = setting("STAFFA_TEST_KILL_SEED");
    let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("STAFFA_TEST_KILL_SEED={seed}");
    let mut state = seed;
    let app = TestApp::new().with_schema("entries.yaml", ENTRIES);
    let mut server = app.start(&["serve"]);
    let (mut ledger, mut slowest) = (Ledger::new(), Duration::ZERO);
    for number in 1..=rounds.unwrap_or(ROUNDS) {
        let longest = if large == VERY_LARGE { 2_500 } else { 900 };
        let after = Duration::from_millis(20 + random(&mut state, longest));
        let written = round(server, large, after);
        let restart = Instant::now();
        server = app.start(&["serve"]);
        let ready = restart.elapsed();
        slowest = slowest.max(ready);
        let label = format!("seed {seed}, round {number}, killed after {after:?}");
        check(&server, &written, &label);
        let acknowledged: usize = written.values().map(|lot| lot.acknowledged.len()).sum();
        println!("{label}: {acknowledged} acknowledged, ready again after {ready:?}");
        ledger.extend(written);
    }
    // What earlier rounds left is still there after all later ones.
    check(&server, &ledger, "at the end");
    println!(
        "{} lots; ready again after {slowest:?} at the most",
        ledger.len()
    );
    assert!(server.terminate().0.success());
}
