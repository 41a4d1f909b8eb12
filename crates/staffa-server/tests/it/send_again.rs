//! kill -9 under writers that give their requests keys: what nobody knows the end of is sent
//! again, and then everything that was sent is there once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value as Json;
use staffa_testkit::scenario::{Answer, Request};

use crate::database::Database;
use crate::kill::{random, setting};
use crate::program::{Running, TestApp, send};

/// Nothing is unique, so that a record may be there twice.
const ENTRIES: &str = "
name: entries
properties:
  - {name: lot, type: integer, required: true, indexed: true}
  - {name: number, type: integer, required: true}
";
const MARKS: &str = "
name: marks
properties:
  - {name: lot, type: integer, required: true, indexed: true}
";
const ROUNDS: u64 = 5;
const SMALL: u64 = 1_000;
/// More than one batch, and so a session.
const LARGE: u64 = 25_000;

static NEXT_LOT: AtomicU64 = AtomicU64::new(1);

/// What a writer sends.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Single,
    Bulk(u64),
    Transaction,
}

/// One request, its key being the number of its lot, and the answer, where it came.
#[derive(Debug)]
struct Sent {
    lot: u64,
    entries: u64,
    marks: u64,
    request: Request,
    answer: Option<Answer>,
}

fn request(lot: u64, target: &str, kind: &str, body: String) -> Request {
    let headers = [
        ("content-type", kind),
        ("idempotency-key", &format!("lot {lot}")),
    ];
    Request {
        method: "POST".to_owned(),
        target: target.to_owned(),
        headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec(),
        body: body.into_bytes(),
    }
}

impl Kind {
    fn make(self, lot: u64) -> Sent {
        const JSON: &str = "application/json";
        let (entries, marks, request) = match self {
            Self::Single => {
                let body = format!(r#"{{"lot":{lot},"number":0}}"#);
                (1, 0, request(lot, "/api/v1/records/entries", JSON, body))
            }
            Self::Bulk(records) => {
                let body = (0..records).fold(String::new(), |mut body, number| {
                    let _ = writeln!(body, r#"{{"lot":{lot},"number":{number}}}"#);
                    body
                });
                let path = "/api/v1/records/entries/bulk?return=ids";
                let request = request(lot, path, "application/x-ndjson", body);
                (records, 0, request)
            }
            Self::Transaction => {
                let body = format!(
                    r#"{{"operations":[
                        {{"op":"create","schema":"entries","data":{{"lot":{lot},"number":0}}}},
                        {{"op":"create","schema":"marks","data":{{"lot":{lot}}}}}]}}"#
                );
                (1, 1, request(lot, "/api/v1/transactions", JSON, body))
            }
        };
        Sent {
            lot,
            entries,
            marks,
            request,
            answer: None,
        }
    }
}

fn good(answer: &Answer) -> bool {
    matches!(answer.status, 200 | 201)
}

/// Sends request after request until the server is gone.
fn write(address: &str, kind: Kind) -> Vec<Sent> {
    let mut all = Vec::new();
    loop {
        let mut sent = kind.make(NEXT_LOT.fetch_add(1, Ordering::Relaxed));
        sent.answer = send(address, &sent.request);
        let is_over = sent.answer.is_none();
        if let Some(answer) = &sent.answer {
            assert!(good(answer), "{}: {}", answer.status, answer.text());
        }
        all.push(sent);
        if is_over {
            return all;
        }
    }
}

fn round(server: Running, after: Duration) -> Vec<Sent> {
    let address = server.main.clone();
    let kinds = [
        Kind::Single,
        Kind::Single,
        Kind::Bulk(SMALL),
        Kind::Bulk(LARGE),
        Kind::Transaction,
    ];
    std::thread::scope(|scope| {
        let address = address.as_str();
        let writers = kinds.map(|kind| scope.spawn(move || write(address, kind)));
        std::thread::sleep(after);
        server.kill();
        writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect()
    })
}

fn is_replay(answer: &Answer) -> bool {
    let said = ("idempotency-replayed".to_owned(), "true".to_owned());
    answer
        .headers
        .iter()
        .any(|(n, v)| (n, v) == (&said.0, &said.1))
}

/// Sends again whatever has no answer, and some of what has one. Answers how many of the
/// first had been carried out.
fn send_again(server: &Running, written: &mut [Sent], label: &str) -> usize {
    let mut found = 0;
    let last = written.len().saturating_sub(40);
    for (at, sent) in written.iter_mut().enumerate() {
        let known = sent.answer.take();
        if known.is_some() && at < last {
            sent.answer = known;
            continue;
        }
        let answer = send(&server.main, &sent.request).unwrap();
        let lot = sent.lot;
        assert!(good(&answer), "{label}: lot {lot}: {}", answer.text());
        match known {
            Some(known) => {
                assert!(
                    is_replay(&answer),
                    "{label}: lot {lot} was carried out again"
                );
                assert_eq!(answer.body, known.body, "{label}: lot {lot}");
            }
            None => found += usize::from(is_replay(&answer)),
        }
        sent.answer = Some(answer);
    }
    found
}

/// How many records each lot has.
fn lots(server: &Running, schema: &str) -> BTreeMap<u64, u64> {
    let path = format!("/api/v1/records/{schema}/stream?shape=data&fields=lot");
    let (status, body) = server.get(&path);
    assert_eq!(status, 200, "{body}");
    let mut lots = BTreeMap::new();
    for line in body.lines() {
        let lot = serde_json::from_str::<Json>(line).unwrap()["lot"].as_u64();
        *lots.entry(lot.unwrap()).or_default() += 1;
    }
    lots
}

fn check(server: &Running, all: &[Sent], label: &str) {
    let expected = |count: fn(&Sent) -> u64| -> BTreeMap<u64, u64> {
        let lots = all.iter().map(|sent| (sent.lot, count(sent)));
        lots.filter(|(_, count)| *count > 0).collect()
    };
    assert_eq!(
        lots(server, "entries"),
        expected(|sent| sent.entries),
        "{label}"
    );
    assert_eq!(
        lots(server, "marks"),
        expected(|sent| sent.marks),
        "{label}"
    );
}

fn run(app: &TestApp, arguments: &[&str]) {
    let seed = setting("STAFFA_TEST_KILL_SEED");
    let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("STAFFA_TEST_KILL_SEED={seed}");
    let mut state = seed;
    let mut server = app.start(arguments);
    let mut all = Vec::new();
    for number in 1..=setting("STAFFA_TEST_KILL_ROUNDS").unwrap_or(ROUNDS) {
        let after = Duration::from_millis(20 + random(&mut state, 900));
        let mut written = round(server, after);
        server = app.start(arguments);
        let label = format!("seed {seed}, round {number}, killed after {after:?}");
        let unknown = written.iter().filter(|sent| sent.answer.is_none()).count();
        let found = send_again(&server, &mut written, &label);
        println!(
            "{label}: {} sent, {unknown} unknown, {found} of them stored",
            written.len()
        );
        all.extend(written);
        check(&server, &all, &label);
    }
    assert!(server.terminate().0.success());
}

fn app() -> TestApp {
    TestApp::new()
        .with_schema("entries.yaml", ENTRIES)
        .with_schema("marks.yaml", MARKS)
}

#[test]
fn what_is_sent_again_with_its_key_is_there_once() {
    run(&app(), &["serve"]);
}

#[test]
fn what_is_sent_again_to_a_database_is_there_once() {
    let Some(database) = Database::create() else {
        return;
    };
    run(&app(), &["serve", "--storage", database.url()]);
}
