//! kill -9 while a schema changes and right behind it: after the next start the schema is wholly
//! the one or the other, every record is there, and each index finds what a scan finds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::database::Database;
use crate::kill::{random, setting};
use crate::program::{Running, TestApp, request, send};

const PATH: &str = "/api/v1/schemas/entries";
const ROUNDS: u64 = 6;
const RECORDS: u64 = 40_000;
/// Records that have one lot.
const IN_A_LOT: u64 = 100;
const TYPES: [&str; 2] = ["integer", "decimal"];
const PATIENCE: Duration = Duration::from_secs(120);

/// The schema of a version: both properties with an index go from type to type.
fn document(version: u64) -> String {
    let kind = TYPES[usize::from(version.is_multiple_of(2))];
    let size = match kind {
        "decimal" => r#", "precision": 21, "scale": 2"#,
        _ => "",
    };
    format!(
        r#"{{"name": "entries", "primary_key": ["number"], "properties": [
            {{"name": "number", "type": "{kind}"{size}, "required": true}},
            {{"name": "lot", "type": "{kind}"{size}, "required": true, "indexed": true}},
            {{"name": "note", "type": "string"}}]}}"#
    )
}

/// Starts the change to a version and answers the place of its job.
fn start(server: &Running, version: u64) -> String {
    let headers = [
        ("content-type", "application/json"),
        ("prefer", "respond-async"),
    ];
    let asked = request("PUT", PATH, &headers, document(version).as_bytes());
    let answer = send(&server.main, &asked).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

fn ended(server: &Running, place: &str) -> Json {
    let start = Instant::now();
    loop {
        let asked = request("GET", place, &[("prefer", "wait=10")], b"");
        let answer = send(&server.main, &asked).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let job: Json = serde_json::from_slice(&answer.body).unwrap();
        if job["finished_at"].is_string() {
            return job;
        }
        assert!(start.elapsed() < PATIENCE, "{job}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn get(server: &Running, path: &str) -> Json {
    let (status, body) = server.get(path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn count(server: &Running, filter: &str) -> u64 {
    let found = get(server, &format!("/api/v1/records/entries/count?{filter}"));
    found["count"].as_u64().unwrap()
}

/// The value of a property, whatever its type is at the moment.
fn whole(value: &Json) -> u64 {
    match value {
        Json::String(text) => text.strip_suffix(".00").unwrap().parse().unwrap(),
        number => number.as_u64().unwrap(),
    }
}

/// Holds everything against what there must be, and answers the version.
fn check(server: &Running, versions: [u64; 2], probes: &mut u64, label: &str) -> u64 {
    let schema = get(server, PATH);
    let version = schema["version"].as_u64().unwrap();
    assert!(versions.contains(&version), "{label}: {schema}");
    let all = get(server, &format!("{PATH}/versions"));
    let newest = all.as_array().unwrap().last().unwrap();
    assert_eq!(newest["version"], version, "{label}");
    let kind = TYPES[usize::from(version.is_multiple_of(2))];
    for property in &schema["properties"].as_array().unwrap()[..2] {
        assert_eq!(property["type"], kind, "{label}: {schema}");
    }
    let (status, lines) = server.get("/api/v1/records/entries/stream?shape=data");
    assert_eq!(status, 200, "{label}: {lines}");
    let mut numbers: Vec<u64> = Vec::new();
    for line in lines.lines() {
        let data: Json = serde_json::from_str(line).unwrap();
        let number = whole(&data["number"]);
        assert_eq!(whole(&data["lot"]), number / IN_A_LOT, "{label}: {line}");
        assert_eq!(data["number"].is_string(), kind == "decimal", "{label}");
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..RECORDS), "{label}");
    // Each of these is looked up in an index.
    for _ in 0..40 {
        let number = random(probes, RECORDS);
        let lot = number / IN_A_LOT;
        assert_eq!(
            count(server, &format!("filter[number]={number}")),
            1,
            "{label}"
        );
        let in_a_lot = count(server, &format!("filter[lot]={lot}"));
        assert_eq!(in_a_lot, IN_A_LOT, "{label}: lot {lot}");
    }
    version
}

fn fill(server: &Running) {
    let headers = [("content-type", "application/json")];
    let made = send(
        &server.main,
        &request("PUT", PATH, &headers, document(1).as_bytes()),
    );
    assert_eq!(made.unwrap().status, 201);
    let body = (0..RECORDS).fold(String::new(), |mut body, number| {
        let lot = number / IN_A_LOT;
        let _ = writeln!(
            body,
            r#"{{"number":{number},"lot":{lot},"note":"n{number}"}}"#
        );
        body
    });
    let headers = [("content-type", "application/x-ndjson")];
    let target = "/api/v1/records/entries/bulk";
    let stored = send(
        &server.main,
        &request("POST", target, &headers, body.as_bytes()),
    );
    assert_eq!(stored.unwrap().status, 201);
}

fn run(arguments: &[&str]) {
    let seed = setting("STAFFA_TEST_KILL_SEED");
    let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("STAFFA_TEST_KILL_SEED={seed}");
    let mut state = seed;
    let app = TestApp::new();
    let mut server = app.start(arguments);
    fill(&server);
    // How long one takes that nothing disturbs, so that the kills fall within it.
    let begun = Instant::now();
    let place = start(&server, 2);
    assert_eq!(ended(&server, &place)["state"], "succeeded");
    let longest = u64::try_from(begun.elapsed().as_micros()).unwrap();
    let mut version = check(&server, [2, 2], &mut state, "before");
    for number in 1..=setting("STAFFA_TEST_KILL_ROUNDS").unwrap_or(ROUNDS) {
        let place = start(&server, version + 1);
        let after = Duration::from_micros(random(&mut state, longest));
        std::thread::sleep(after);
        server.kill();
        server = app.start(arguments);
        let label = format!("seed {seed}, round {number}, killed after {after:?}");
        let job = ended(&server, &place);
        let found = check(&server, [version, version + 1], &mut state, &label);
        // What the job says is so.
        let (told, made) = match found == version {
            true => ("interrupted", Json::Null),
            false => ("succeeded", found.into()),
        };
        assert_eq!(job["state"], told, "{label}: {job}");
        assert_eq!(job["schema_version"], made, "{label}: {job}");
        println!("{label}: {told}");
        version = found;
    }
    // It can still be changed, and written to.
    let place = start(&server, version + 1);
    assert_eq!(ended(&server, &place)["state"], "succeeded");
    check(&server, [version + 1; 2], &mut state, "at the end");
    assert!(server.terminate().0.success());
}

/// The schema with so many properties more, which all have defaults.
fn grown(more: u64) -> String {
    let mut schema: Json = serde_json::from_str(&document(1)).unwrap();
    let properties = schema["properties"].as_array_mut().unwrap();
    for number in 1..=more {
        properties
            .push(json!({"name": format!("more_{number}"), "type": "string", "default": "d"}));
    }
    schema.to_string()
}

fn write(server: &Running, (method, target): (&str, &str), body: &str) -> Json {
    let kind = match target.ends_with("/bulk") {
        true => "application/x-ndjson",
        false => "application/json",
    };
    let asked = request(method, target, &[("content-type", kind)], body.as_bytes());
    let answer = send(&server.main, &asked).unwrap();
    let text = answer.text();
    assert!((200..300).contains(&answer.status), "{text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// Adds a property in each round, writes in every way at once behind it, and kills the server at
/// some moment of the checkpoint that follows.
#[test]
fn writes_behind_an_added_property_outlive_a_kill() {
    let seed = setting("STAFFA_TEST_KILL_SEED");
    let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("STAFFA_TEST_KILL_SEED={seed}");
    let mut state = seed;
    let app = TestApp::new();
    let mut server = app.start(&["serve"]);
    fill(&server);
    // By number: the lot, which a change puts up.
    let mut stored: BTreeMap<u64, u64> = (0..RECORDS).map(|n| (n, n / IN_A_LOT)).collect();
    for round in 1..=setting("STAFFA_TEST_KILL_ROUNDS").unwrap_or(ROUNDS) {
        write(&server, ("PUT", PATH), &grown(round));
        let first = 1_000_000 * round;
        let mut body = String::new();
        for number in first..first + random(&mut state, 3_000) {
            let _ = writeln!(body, r#"{{"number":{number},"lot":{round}}}"#);
            stored.insert(number, round);
        }
        let single = first + 900_000;
        let one = format!(r#"{{"number":{single},"lot":7,"more_{round}":"given"}}"#);
        let made = write(&server, ("POST", "/api/v1/records/entries"), &one);
        let place = format!("/api/v1/records/entries/{}", made["id"].as_str().unwrap());
        write(&server, ("POST", "/api/v1/records/entries/bulk"), &body);
        write(&server, ("PATCH", &place), r#"{"lot":8}"#);
        stored.insert(single, 8);
        let gone = random(&mut state, RECORDS / IN_A_LOT);
        let target = format!("/api/v1/records/entries?filter[lot]={gone}&max_affected=100000");
        write(&server, ("DELETE", &target), "");
        stored.retain(|_, lot| *lot != gone);
        let after = Duration::from_micros(random(&mut state, 400_000));
        std::thread::sleep(after);
        server.kill();
        server = app.start(&["serve"]);
        let label = format!("seed {seed}, round {round}, killed after {after:?}");
        assert_eq!(get(&server, PATH)["version"], round + 1, "{label}");
        check_grown(&server, &stored, round, &label);
        for _ in 0..20 {
            let lot = random(&mut state, RECORDS / IN_A_LOT);
            let expected = stored.values().filter(|found| **found == lot).count() as u64;
            let found = count(&server, &format!("filter[lot]={lot}"));
            assert_eq!(found, expected, "{label}: lot {lot}");
        }
    }
    assert!(server.terminate().0.success());
}

/// Every record, with the default of each property that was added, but for the one that was given.
fn check_grown(server: &Running, stored: &BTreeMap<u64, u64>, added: u64, label: &str) {
    let (status, lines) = server.get("/api/v1/records/entries/stream?shape=data");
    assert_eq!(status, 200, "{label}: {lines}");
    let mut found = BTreeMap::new();
    for line in lines.lines() {
        let data: Json = serde_json::from_str(line).unwrap();
        let number = whole(&data["number"]);
        found.insert(number, whole(&data["lot"]));
        for property in 1..=added {
            let given = number == 1_000_000 * property + 900_000;
            let expected = if given { "given" } else { "d" };
            assert_eq!(
                data[format!("more_{property}")],
                expected,
                "{label}: {line}"
            );
        }
    }
    assert_eq!(found.len(), stored.len(), "{label}");
    assert!(found == *stored, "{label}");
}

#[test]
fn a_change_that_is_killed_is_made_whole_or_not_at_all() {
    run(&["serve"]);
}

#[test]
fn a_change_of_a_database_that_is_killed_is_made_whole_or_not_at_all() {
    let Some(database) = Database::create() else {
        return;
    };
    run(&["serve", "--storage", database.url()]);
}
