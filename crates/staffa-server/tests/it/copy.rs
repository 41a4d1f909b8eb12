//! `staffa copy`: both sides are equal at the end, whatever happened on the way.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::database::Database;
use crate::program::{Said, TestApp, run, staffa};

/// A property of every type.
const THINGS: &str = "
name: things
primary_key: [a_string]
properties:
  - {name: a_string, type: string, required: true}
  - {name: an_integer, type: integer, unique: true}
  - {name: a_number, type: number}
  - {name: a_decimal, type: decimal, precision: 38, scale: 10}
  - {name: a_boolean, type: boolean, indexed: true}
  - {name: a_date, type: date}
  - {name: a_datetime, type: datetime}
  - {name: a_uuid, type: uuid}
  - {name: an_object, type: object}
  - {name: numbers, type: array, items: number}
  - {name: texts, type: array, items: string}
";

const EVENTS: &str = "
name: events
append_only: true
properties:
  - {name: kind, type: string}
";

const LINES: &str = r#"{"a_string": "é\n\"", "an_integer": -9223372036854775808, "a_number": -0.0, "a_decimal": "1234567890123456789012345678.0000000001", "a_boolean": false, "a_date": "0001-01-01", "a_datetime": "9999-12-31T23:59:59.999999Z", "a_uuid": "01970000-0000-7000-8000-000000000001", "an_object": {"z": [1e3, {"b": 1.50, "a": null}], "a": "\u0001"}, "numbers": [0.1, 1e300, 5e-324], "texts": ["", "a,b"]}
{"a_string": "", "texts": []}
{"a_string": "b", "an_integer": 9223372036854775807, "an_object": {}}
"#;

/// A data folder with records that were created, changed and imported.
fn source() -> TestApp {
    let app = TestApp::new().with_schema("things.yaml", THINGS);
    let app = app.with_schema("events.yaml", EVENTS);
    fs::write(app.path().join("things.ndjson"), LINES).unwrap();
    fs::write(app.path().join("events.ndjson"), "{\"kind\": \"a\"}\n{}\n").unwrap();
    for schema in ["things", "events"] {
        check(
            &run(app.path(), &["import", schema, &format!("{schema}.ndjson")]),
            0,
        );
    }
    app
}

#[track_caller]
fn check(said: &Said, code: i32) {
    assert_eq!(said.code, Some(code), "{}{}", said.stdout, said.stderr);
}

fn copy(app: &TestApp, from: &str, to: &str) -> Said {
    run(app.path(), &["copy", "--from", from, "--to", to])
}

/// All records of a data folder, system fields included.
fn records(app: &TestApp, folder: &str, schema: &str) -> Vec<String> {
    let arguments = ["export", schema, "--shape", "record", "--data-dir", folder];
    let said = run(app.path(), &arguments);
    check(&said, 0);
    let mut lines: Vec<String> = said.stdout.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_copy_has_every_record_as_it_was() {
    let app = source();
    let said = copy(&app, "duckdb:data", "duckdb:copied");
    check(&said, 0);
    assert!(
        said.stderr
            .contains("things: 3 copied, 3 records, checksum "),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr
            .contains("events: 2 copied, 2 records, checksum "),
        "{}",
        said.stderr
    );
    for schema in ["things", "events"] {
        assert_eq!(
            records(&app, "copied", schema),
            records(&app, "data", schema)
        );
    }
    let again = copy(&app, "duckdb:data", "duckdb:copied");
    check(&again, 0);
    assert!(
        again
            .stderr
            .contains("things: 0 copied, 3 records, checksum "),
        "{}",
        again.stderr
    );
}

#[test]
fn a_difference_is_found() {
    let app = source();
    check(&copy(&app, "duckdb:data", "duckdb:copied"), 0);
    let arguments = ["import", "events", "events.ndjson", "--data-dir", "copied"];
    check(&run(app.path(), &arguments), 0);
    let said = copy(&app, "duckdb:data", "duckdb:copied");
    check(&said, 1);
    assert!(
        said.stderr
            .contains("error: events: the copy differs: 2 records"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("things: 0 copied, 3 records"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_schema_that_differs_is_refused() {
    let app = source();
    let other = TestApp::new();
    let other = other.with_schema("events.yaml", &EVENTS.replace("string", "integer"));
    let target = other.path().join("data").display().to_string();
    check(&run(other.path(), &["schema", "list"]), 0);
    let said = copy(&app, "duckdb:data", &format!("duckdb:{target}"));
    check(&said, 1);
    let expected = "the schema events differs from the stored version 1";
    assert!(said.stderr.contains(expected), "{}", said.stderr);
}

#[test]
fn wrong_usage_and_an_empty_source() {
    let app = TestApp::new();
    check(&copy(&app, "duckdb:a", "duckdb:a"), 2);
    check(&copy(&app, "a", "duckdb:b"), 2);
    check(&run(app.path(), &["copy", "--from", "duckdb:a"]), 2);
    let said = copy(&app, "postgres://u:hush@h/d", "sqlite://u:hush@h/d");
    check(&said, 2);
    assert!(!said.stderr.contains("hush"), "{}", said.stderr);
    check(&copy(&app, "duckdb:a", "duckdb:b"), 1);
    assert_eq!(fs::read_dir(app.path()).unwrap().count(), 0);
}

#[test]
fn a_copy_that_was_killed_goes_on() {
    let app = TestApp::new();
    let server = app.start(&["demo", "--data-dir", "data"]);
    assert!(server.terminate().0.success());
    let arguments = ["copy", "--from", "duckdb:data", "--to", "duckdb:copied"];
    for milliseconds in [300, 900] {
        let mut command = staffa(app.path());
        let mut child = command
            .args(arguments)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let start = Instant::now();
    let said = run(app.path(), &arguments);
    check(&said, 0);
    println!("{}in {:?}", said.stderr, start.elapsed());
    assert!(
        said.stderr.contains(" copied, 336,776 records, checksum "),
        "{}",
        said.stderr
    );
}

#[test]
fn a_round_trip_through_a_database_server() {
    let Some(database) = Database::create() else {
        return;
    };
    let app = source();
    let there = copy(&app, "duckdb:data", database.url());
    check(&there, 0);
    let back = copy(&app, database.url(), "duckdb:back");
    check(&back, 0);
    assert_eq!(back.stderr, there.stderr);
    check(&copy(&app, "duckdb:data", "duckdb:back"), 0);
    assert_eq!(
        records(&app, "back", "events"),
        records(&app, "data", "events")
    );
}
