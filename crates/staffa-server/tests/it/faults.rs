//! What happens to the database: it is killed under load, it has no room, it is set up to
//! forget. The server needs no restart, and nothing that it acknowledged is lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::killable::Killable;
use crate::program::{Running, TestApp, get, post};
use crate::wire::ask;

/// A record is one of a lot; a bulk is a lot of its own.
const ENTRIES: &str = "
name: entries
primary_key: [lot, number]
properties:
  - {name: lot, type: integer, required: true, indexed: true}
  - {name: number, type: integer, required: true}
  - {name: note, type: string}
";
const COUNTERS: &str = "
name: counters
properties:
  - {name: count, type: integer, required: true}
";

const RECORDS: &str = "/api/v1/records/entries";
const BULK: u64 = 2_000;
const ROUNDS: u64 = 3;
/// How long a state may take to come that comes by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the client of one lot knows of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Acknowledged,
    Unknown,
    Refused,
}

#[derive(Debug, Default)]
struct Lot {
    fates: Vec<Fate>,
    /// All records of a bulk have one fate.
    bulk: u64,
}

/// What an answer means; anything else than success and a fault of the database is a bug.
fn fate(status: u16, body: &str) -> Fate {
    if status == 201 || status == 200 {
        return Fate::Acknowledged;
    }
    let problem: Json = serde_json::from_str(body).unwrap_or_else(|_| panic!("{status}: {body}"));
    match (status, problem["code"].as_str()) {
        (503, Some("commit_unknown")) => Fate::Unknown,
        (503, Some("engine_reopening" | "overloaded")) => Fate::Refused,
        _ => panic!("{status}: {body}"),
    }
}

/// What all clients share.
#[derive(Debug)]
struct Load<'a> {
    address: &'a str,
    over: &'a AtomicBool,
    acknowledged: &'a AtomicU64,
    next_lot: &'a AtomicU64,
}

impl Load<'_> {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn note(&self, fate: Fate) -> Fate {
        if fate == Fate::Acknowledged {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        } else {
            // What comes at once would be refused as well.
            std::thread::sleep(Duration::from_millis(5));
        }
        fate
    }

    fn write_singles(&self) -> BTreeMap<u64, Lot> {
        let id = self.next_lot.fetch_add(1, Ordering::Relaxed);
        let mut lot = Lot::default();
        while self.goes_on() {
            let number = lot.fates.len();
            let body = format!(r#"{{"lot": {id}, "number": {number}, "note": "single"}}"#);
            let answer = post(self.address, RECORDS, "application/json", body.as_bytes());
            let (status, body) = answer.expect("the server itself stays");
            lot.fates.push(self.note(fate(status, &body)));
        }
        BTreeMap::from([(id, lot)])
    }

    fn write_bulks(&self) -> BTreeMap<u64, Lot> {
        let mut lots = BTreeMap::new();
        while self.goes_on() {
            let id = self.next_lot.fetch_add(1, Ordering::Relaxed);
            let body = lines(id, BULK);
            let path = format!("{RECORDS}/bulk?return=none");
            let answer = post(self.address, &path, "application/x-ndjson", body.as_bytes());
            let (status, body) = answer.expect("the server itself stays");
            let fates = vec![self.note(fate(status, &body))];
            lots.insert(id, Lot { fates, bulk: BULK });
        }
        lots
    }

    /// Adds one to a counter time and again; answers how often that was acknowledged, and how
    /// often it may have been done.
    fn count_up(&self, path: &str) -> (u64, u64) {
        let (mut done, mut unknown) = (0, 0);
        while self.goes_on() {
            let read = ask(self.address, ("GET", path), None, "").expect("the server itself stays");
            if fate(read.status, &read.body) != Fate::Acknowledged {
                continue;
            }
            let next = read.json()["data"]["count"].as_u64().unwrap() + 1;
            let body = format!(r#"{{"count": {next}}}"#);
            let reply = ask(self.address, ("PUT", path), read.etag.as_deref(), &body);
            let reply = reply.expect("the server itself stays");
            match self.note(fate(reply.status, &reply.body)) {
                Fate::Acknowledged => done += 1,
                Fate::Unknown => unknown += 1,
                Fate::Refused => {}
            }
        }
        (done, unknown)
    }

    /// Waits until the clients are getting somewhere.
    fn wait_for_more(&self, writes: u64) {
        let wanted = self.acknowledged.load(Ordering::Relaxed) + writes;
        let start = Instant::now();
        while self.acknowledged.load(Ordering::Relaxed) < wanted {
            assert!(start.elapsed() < PATIENCE, "no write is acknowledged");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn lines(lot: u64, records: u64) -> String {
    (0..records).fold(String::new(), |mut body, number| {
        let _ = writeln!(
            body,
            r#"{{"lot": {lot}, "number": {number}, "note": "bulk"}}"#
        );
        body
    })
}

fn wait_until_ready(server: &Running) -> Duration {
    let start = Instant::now();
    while get(&server.admin, "/health/ready").0 != 200 {
        let waited = start.elapsed();
        assert!(
            waited < PATIENCE,
            "{:?}",
            get(&server.admin, "/health/ready")
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    start.elapsed()
}

fn stored(server: &Running, lot: u64) -> Vec<u64> {
    let path = format!("{RECORDS}/stream?shape=data&filter[lot]={lot}");
    let (status, body) = server.get(&path);
    assert_eq!(status, 200, "{body}");
    let number = |line: &str| serde_json::from_str::<Json>(line).unwrap()["number"].as_u64();
    let mut numbers: Vec<_> = body.lines().map(|line| number(line).unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

fn check(server: &Running, lots: &BTreeMap<u64, Lot>) {
    for (id, lot) in lots {
        let found = stored(server, *id);
        if lot.bulk > 0 {
            let whole = found.iter().copied().eq(0..lot.bulk);
            let is_right = match lot.fates[0] {
                Fate::Acknowledged => whole,
                Fate::Refused => found.is_empty(),
                Fate::Unknown => whole || found.is_empty(),
            };
            assert!(is_right, "lot {id}: {} records of {lot:?}", found.len());
            continue;
        }
        let mut twice = found.clone();
        twice.dedup();
        assert_eq!(twice, found, "lot {id} has one record twice");
        for (number, fate) in lot.fates.iter().enumerate() {
            let is_there = found.binary_search(&(number as u64)).is_ok();
            let is_right = match fate {
                Fate::Acknowledged => is_there,
                Fate::Refused => !is_there,
                Fate::Unknown => true,
            };
            assert!(
                is_right,
                "lot {id}, record {number}: {fate:?}, found: {is_there}"
            );
        }
    }
}

#[test]
fn a_database_that_is_killed_under_load_loses_nothing() {
    let Some(database) = Killable::take() else {
        return;
    };
    let url = database.create("staffa_killed", "");
    let app = TestApp::new()
        .with_schema("entries.yaml", ENTRIES)
        .with_schema("counters.yaml", COUNTERS);
    let server = app.start(&["serve", "--storage", &url]);
    let path = ("POST", "/api/v1/records/counters");
    let counter = ask(&server.main, path, None, r#"{"count": 0}"#).unwrap();
    let id = counter.json()["id"].as_str().unwrap().to_owned();
    let counter = format!("/api/v1/records/counters/{id}");
    let seed = RandomState::new().build_hasher().finish();
    println!("seed {seed}");
    let (over, acknowledged, next_lot) =
        (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(1));
    let load = Load {
        address: &server.main,
        over: &over,
        acknowledged: &acknowledged,
        next_lot: &next_lot,
    };
    let (lots, (done, unknown)) = std::thread::scope(|scope| {
        let (load, counter) = (&load, counter.as_str());
        let singles: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| load.write_singles()))
            .collect();
        let bulks = scope.spawn(|| load.write_bulks());
        let count = scope.spawn(|| load.count_up(counter));
        for round in 0..ROUNDS {
            load.wait_for_more(50 + (seed >> (8 * round)) % 100);
            database.kill_backend("staffa_killed", seed >> (4 * round));
            database.wait();
            let ready = wait_until_ready(&server);
            println!("a connection was killed: ready {ready:?} after the database");
            load.wait_for_more(50 + (seed >> (8 * round + 4)) % 100);
            database.kill_postmaster();
            database.wait();
            let ready = wait_until_ready(&server);
            println!("the database was killed: ready {ready:?} after it");
        }
        load.wait_for_more(200);
        over.store(true, Ordering::Relaxed);
        let mut lots = bulks.join().unwrap();
        for single in singles {
            lots.append(&mut single.join().unwrap());
        }
        (lots, count.join().unwrap())
    });
    check(&server, &lots);
    let of = |wanted: Fate| {
        let fates = lots.values().flat_map(|lot| &lot.fates);
        fates.filter(|fate| **fate == wanted).count()
    };
    println!(
        "{} acknowledged, {} unknown, {} refused",
        of(Fate::Acknowledged),
        of(Fate::Unknown),
        of(Fate::Refused)
    );
    let count = ask(&server.main, ("GET", &counter), None, "")
        .unwrap()
        .json();
    let count = count["data"]["count"].as_u64().unwrap();
    assert!(
        (done..=done + unknown).contains(&count),
        "{count} of {done} and {unknown}"
    );
    check_indexes(&database, "staffa_killed");
    assert!(server.terminate().0.success());
}

/// Every record is found through every index, where the server can be asked to look.
fn check_indexes(database: &Killable, name: &str) {
    if let Err(error) = database.run(name, "CREATE EXTENSION amcheck") {
        println!("indexes are not checked: {error}");
        return;
    }
    let sql = "SELECT count(bt_index_check(indexrelid, true)::text) FROM pg_index \
               JOIN pg_class ON pg_class.oid = indexrelid \
               JOIN pg_am ON pg_am.oid = relam WHERE amname = 'btree' \
               AND relnamespace = 'records'::regnamespace";
    let checked: u64 = database.run(name, sql).unwrap().parse().unwrap();
    assert!(checked >= 3, "{checked} indexes are whole");
}

#[test]
fn a_database_without_room_refuses_writes_and_answers_reads() {
    let Some(database) = Killable::take() else {
        return;
    };
    let Some(small) = database.small() else {
        println!("skipped: there is no small file system, which root alone can make");
        return;
    };
    let place = format!("CREATE TABLESPACE small LOCATION '{}'", small.display());
    if let Err(error) = database.run("postgres", &place) {
        // An earlier run on the same server made it.
        assert_eq!(
            error.code().map(tokio_postgres::error::SqlState::code),
            Some("42710"),
            "{error}"
        );
    }
    let url = database.create("staffa_full", "TABLESPACE small");
    let filler = "CREATE TABLE public.filler AS \
                  SELECT repeat('x', 1000) AS x FROM generate_series(1, 12000)";
    database.run("staffa_full", filler).unwrap();
    let app = TestApp::new().with_schema("entries.yaml", ENTRIES);
    let server = app.start(&["serve", "--storage", &url]);
    let bulk = format!("{RECORDS}/bulk?return=none");
    let mut kept = 0;
    let refusal = loop {
        let body = lines(kept, 20_000);
        let answer = post(&server.main, &bulk, "application/x-ndjson", body.as_bytes());
        match answer.unwrap() {
            (201, _) => kept += 1,
            refusal => break refusal,
        }
        assert!(kept < 200, "the small file system is not small");
    };
    assert_eq!(refusal.0, 507, "{refusal:?}");
    assert!(refusal.1.contains("storage_full"), "{refusal:?}");
    // Small writes fail as well, once nothing is left between the pages.
    let mut number = 1_000_000;
    loop {
        let body = format!(r#"{{"lot": 1000000, "number": {number}}}"#);
        let (status, body) =
            post(&server.main, RECORDS, "application/json", body.as_bytes()).unwrap();
        number += 1;
        if status != 201 {
            assert_eq!(status, 507, "{body}");
            break;
        }
        assert!(number < 1_100_000, "it has room");
    }
    assert_eq!(server.count("entries"), kept * 20_000 + number - 1_000_001);
    assert_eq!(stored(&server, 0).len(), 20_000);
    assert_eq!(get(&server.admin, "/health/ready").0, 507);
    database
        .run("staffa_full", "DROP TABLE public.filler")
        .unwrap();
    // Nobody writes meanwhile.
    let ready = wait_until_ready(&server);
    println!("ready {ready:?} after there was room");
    let body = br#"{"lot": 1000001, "number": 1}"#;
    let (status, body) = post(&server.main, RECORDS, "application/json", body).unwrap();
    assert_eq!(status, 201, "{body}");
    assert!(server.terminate().0.success());
    let drop = "DROP DATABASE staffa_full WITH (FORCE)";
    database.run("postgres", drop).unwrap();
}

#[test]
fn a_database_that_forgets_is_warned_of() {
    let Some(database) = Killable::take() else {
        return;
    };
    let url = database.create("staffa_forgetful", "");
    let set = |value: &str| {
        for name in ["fsync", "full_page_writes"] {
            let sql = format!("ALTER SYSTEM SET {name} = {value}");
            database.run("postgres", &sql).unwrap();
        }
        database.run("postgres", "SELECT pg_reload_conf()").unwrap();
        let start = Instant::now();
        while database.run("postgres", "SHOW full_page_writes").unwrap() != value {
            assert!(start.elapsed() < PATIENCE, "it is not set");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let app = TestApp::new().with_schema("entries.yaml", ENTRIES);
    set("off");
    let forgetful = app.start(&["serve", "--storage", &url]).terminate();
    set("on");
    let sound = app.start(&["serve", "--storage", &url]).terminate();
    for name in ["fsync", "full_page_writes"] {
        let warning = format!("the database runs with {name} = off");
        assert!(forgetful.1.contains(&warning), "{}", forgetful.1);
        assert!(!sound.1.contains(&warning), "{}", sound.1);
    }
}
