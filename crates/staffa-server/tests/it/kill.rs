//! kill -9 under eight writers: what was acknowledged is there after a restart, and what nobody
//! knows the end of is there once when it is sent again with its key; nothing is there by half or
//! twice, and every index agrees with the records.
//!
//! `STAFFA_TEST_KILL_ROUNDS` sets the number of rounds; `STAFFA_TEST_KILL_SEED` repeats the moments
//! of an earlier run.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use crate::database::Database;
use crate::ledger::Ledger;
use crate::load::{Deed, Fate, Sent, app, next, send_again};
use crate::program::{Running, TestApp};
use crate::truth::check_indexes;

const ROUNDS: u64 = 4;
/// When a server is killed at the latest.
const LIFE_MAX_MS: u64 = 2_500;
const SMALL: u64 = 1_000;
/// More than a row group: the engine writes it past its log.
const LARGE: u64 = 150_000;
/// How many items a writer changes in turn.
const ITEMS: u64 = 16;

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

/// What a writer does time and again.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Enter(u64),
    Change,
    Remove,
    Transact,
}

const WRITERS: [Kind; 8] = [
    Kind::Enter(1),
    Kind::Enter(1),
    Kind::Enter(SMALL),
    Kind::Enter(LARGE),
    Kind::Change,
    Kind::Remove,
    Kind::Transact,
    Kind::Transact,
];

/// Sends request after request until the server is gone; answers all, the last without an end.
fn write(address: &str, kind: Kind, round: u64) -> Vec<Sent> {
    let mut written: Vec<Sent> = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    let owner = next();
    let wanted = match kind {
        Kind::Enter(_) => 0,
        Kind::Transact => 1,
        Kind::Change | Kind::Remove => ITEMS,
    };
    for turn in 0.. {
        let place = usize::try_from(turn % wanted.max(1)).unwrap();
        let mut sent = match kind {
            Kind::Enter(entries) => Sent::enter(round, entries),
            _ if (ids.len() as u64) < wanted => Sent::add(round, owner),
            Kind::Change => Sent::change(round, &ids[place], turn),
            Kind::Remove => Sent::remove(round, &ids.pop().unwrap()),
            Kind::Transact => Sent::transact(round, &ids[0], turn),
        };
        let fate = sent.send(address);
        assert_ne!(fate, Fate::Refused, "{sent:?}");
        let is_over = fate == Fate::Unknown;
        if !is_over && matches!(sent.deed, Deed::Add { .. }) {
            ids.push(sent.id());
        }
        written.push(sent);
        if is_over {
            break;
        }
    }
    written
}

/// Writes from all clients and kills the server in the midst of it.
fn round(server: Running, number: u64, after: Duration) -> Vec<Vec<Sent>> {
    let address = server.main.clone();
    std::thread::scope(|scope| {
        let address = address.as_str();
        let writers = WRITERS.map(|kind| scope.spawn(move || write(address, kind, number)));
        std::thread::sleep(after);
        server.kill();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    })
}

fn run(app: &TestApp, arguments: &[&str]) {
    let seed = setting("STAFFA_TEST_KILL_SEED");
    let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("STAFFA_TEST_KILL_SEED={seed}");
    let mut state = seed;
    let mut server = app.start(arguments);
    let mut ledger = Ledger::default();
    let rounds = setting("STAFFA_TEST_KILL_ROUNDS").unwrap_or(ROUNDS);
    let (mut slowest, mut sent, mut asked) = (Duration::ZERO, 0, 0);
    let (mut unknown, mut found) = (0, 0);
    for number in 1..=rounds {
        let after = Duration::from_millis(20 + random(&mut state, LIFE_MAX_MS));
        let mut written = round(server, number, after);
        let restart = Instant::now();
        server = app.start(arguments);
        let ready = restart.elapsed();
        slowest = slowest.max(ready);
        if number % 2 == 0 {
            // Opened and closed in good order after the crash, before anything is asked or written.
            assert!(server.terminate().0.success());
            server = app.start(arguments);
        }
        let place = format!("seed {seed}, round {number}, killed after {after:?}");
        for writer in &mut written {
            let again = send_again(&server.main, writer, &place);
            (unknown, found) = (unknown + again.0, found + again.1);
            sent += writer.len();
            ledger.note(writer);
        }
        ledger.check(&server, number, &place);
        asked += check_indexes(&server, &ledger, &place);
        let sent: usize = written.iter().map(Vec::len).sum();
        println!("{place}: {sent} requests, ready again after {ready:?}");
    }
    // What earlier rounds left is still there after all later ones.
    for number in 1..=rounds {
        ledger.check(&server, number, "at the end");
    }
    println!(
        "{rounds} rounds, {sent} requests, {unknown} without an end, {found} of them stored; 0 lost, \
         0 half, 0 twice; {asked} questions to indexes; ready again after {slowest:?} at the most"
    );
    assert!(server.terminate().0.success());
}

#[test]
fn nothing_is_lost_halved_or_doubled_by_a_kill() {
    run(&app(), &["serve"]);
}

#[test]
fn nothing_is_lost_halved_or_doubled_by_a_kill_beside_a_database() {
    let Some(database) = Database::create() else {
        return;
    };
    run(&app(), &["serve", "--storage", database.url()]);
}
