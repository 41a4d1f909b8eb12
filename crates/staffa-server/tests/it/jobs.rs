//! Jobs of the real program: kill -9 while one runs, and a drain that gives one no time. What
//! was accepted is there once after the next start, and its job says so.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use staffa_testkit::scenario::Answer;

use crate::database::Database;
use crate::kill::{random, setting};
use crate::program::{Running, TestApp, request, send};

/// Nothing is unique, so that a record may be there twice.
const ENTRIES: &str = "
name: entries
properties:
  - {name: lot, type: integer, required: true, indexed: true}
  - {name: number, type: integer, required: true, minimum: 0}
";
const ROUNDS: u64 = 4;
/// Several batches, and so a session.
const RECORDS: u64 = 40_000;
/// The first of them breaks a rule.
const FAILED: u64 = 1;
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts the job of a lot and answers its place.
fn start(server: &Running, lot: u64) -> String {
    let body = (0..RECORDS).fold(String::new(), |mut body, number| {
        let sign = if number == 0 { "-1" } else { "" };
        let _ = writeln!(body, r#"{{"lot":{lot},"number":{sign}{number}}}"#);
        body
    });
    let headers = [
        ("content-type", "application/x-ndjson"),
        ("prefer", "respond-async"),
    ];
    let target = "/api/v1/records/entries/bulk?on_error=continue";
    let asked = request("POST", target, &headers, body.as_bytes());
    let answer = send(&server.main, &asked).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

fn job(server: &Running, place: &str) -> Json {
    let asked = request("GET", place, &[("prefer", "wait=10")], b"");
    let answer: Answer = send(&server.main, &asked).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// The job once it has ended.
fn ended(server: &Running, place: &str) -> Json {
    let start = Instant::now();
    loop {
        let job = job(server, place);
        if job["finished_at"].is_string() {
            return job;
        }
        assert!(start.elapsed() < PATIENCE, "{job}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn stored(server: &Running, lot: u64) -> u64 {
    let path = format!("/api/v1/records/entries/count?filter[lot]={lot}");
    let (status, body) = server.get(&path);
    assert_eq!(status, 200, "{body}");
    let count = serde_json::from_str::<Json>(&body).unwrap();
    count["count"].as_u64().unwrap()
}

fn check(server: &Running, lot: u64, place: &str, label: &str) {
    let job = ended(server, place);
    assert_eq!(job["state"], "partial", "{label}: {job}");
    assert_eq!(job["inserted"], RECORDS - FAILED, "{label}: {job}");
    assert_eq!(job["failed"], FAILED, "{label}: {job}");
    assert_eq!(stored(server, lot), RECORDS - FAILED, "{label}");
    let (status, errors) = server.get(&format!("{place}/errors"));
    assert_eq!(status, 200, "{label}: {errors}");
    assert_eq!(errors.lines().count() as u64, FAILED, "{label}: {errors}");
    let line: Json = serde_json::from_str(&errors).unwrap();
    assert_eq!(line["index"], 0, "{label}");
}

fn run(app: &TestApp, arguments: &[&str]) {
    let seed = setting("STAFFA_TEST_KILL_SEED");
    let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("STAFFA_TEST_KILL_SEED={seed}");
    let mut state = seed;
    let mut server = app.start(arguments);
    let mut places = Vec::new();
    for lot in 0..setting("STAFFA_TEST_KILL_ROUNDS").unwrap_or(ROUNDS) {
        let place = start(&server, lot);
        let after = Duration::from_millis(random(&mut state, 600));
        std::thread::sleep(after);
        server.kill();
        server = app.start(arguments);
        let label = format!("seed {seed}, round {lot}, killed after {after:?}");
        let found = job(&server, &place)["state"].to_string();
        check(&server, lot, &place, &label);
        println!("{label}: {found}");
        places.push(place);
    }
    // One that is given no time to end.
    let lot = places.len() as u64;
    let place = start(&server, lot);
    assert!(server.terminate().0.success());
    server = app.start(arguments);
    places.push(place);
    for (lot, place) in (0..).zip(&places) {
        check(&server, lot, place, "at the end");
    }
    assert!(server.terminate().0.success());
}

fn app() -> TestApp {
    TestApp::new().with_schema("entries.yaml", ENTRIES)
}

const HURRY: [&str; 2] = ["--drain-timeout", "1ms"];

#[test]
fn a_job_that_was_cut_is_run_again_and_stored_once() {
    run(&app(), &["serve", HURRY[0], HURRY[1]]);
}

#[test]
fn a_job_of_a_database_that_was_cut_is_stored_once() {
    let Some(database) = Database::create() else {
        return;
    };
    run(
        &app(),
        &["serve", HURRY[0], HURRY[1], "--storage", database.url()],
    );
}

#[test]
fn a_job_that_is_removed_leaves_no_file() {
    let app = app();
    let server = app.start(&["serve"]);
    let place = start(&server, 1);
    ended(&server, &place);
    let asked = request("DELETE", &place, &[], b"");
    assert_eq!(send(&server.main, &asked).unwrap().status, 204);
    assert_eq!(server.get(&place).0, 404);
    let files = std::fs::read_dir(app.path().join("data/jobs/0")).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["spool"]);
    assert!(server.terminate().0.success());
}
