//! The scenarios of `tests/scenarios` on the real program, over each engine: all answer alike,
//! to the byte, and between them the scenarios reach every route.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value as Json;
use staffa_testkit::scenario::{Scenario, play};

use crate::database::Database;
use crate::program::{Running, TestApp, get, send};

/// A method and the path of its route.
type Route = (String, String);

/// What came of all scenarios on one engine.
#[derive(Debug, Default)]
struct Run {
    /// What each step was answered, or where the scenario ended.
    answers: BTreeMap<String, Result<Vec<String>, String>>,
    /// The routes that answered with a success.
    reached: BTreeSet<Route>,
    /// The routes that `/openapi.json` describes.
    described: BTreeSet<Route>,
}

static EMBEDDED: LazyLock<Run> = LazyLock::new(|| {
    let mut run = Run::default();
    for scenario in Scenario::all() {
        run.play(&scenario, "duckdb");
    }
    run
});

impl Run {
    fn play(&mut self, scenario: &Scenario, storage: &str) {
        let mut app = TestApp::new();
        for document in &scenario.schemas {
            let name = document["name"].as_str().unwrap();
            app = app.with_schema(&format!("{name}.json"), &document.to_string());
        }
        let server = app.start(&["serve", "--storage", storage]);
        let answers = play(scenario, |request| {
            send(&server.main, &request).unwrap_or_else(|| panic!("{request:?}"))
        });
        // First what the scenario itself has reached.
        self.reached.extend(reached(&server));
        self.described.extend(described(&server));
        self.answers.insert(scenario.name.clone(), answers);
        assert!(server.terminate().0.success());
    }

    #[track_caller]
    fn check(&self) {
        let failures = self
            .answers
            .values()
            .filter_map(|answers| answers.as_ref().err());
        let failures: Vec<&str> = failures.map(String::as_str).collect();
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    }
}

/// The routes that the server has counted a success of.
fn reached(server: &Running) -> BTreeSet<Route> {
    let (status, text) = get(&server.admin, "/metrics");
    assert_eq!(status, 200, "{text}");
    let label = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let route = |line: &str| {
        let status = label(line, "status")?;
        let is_success = status.starts_with('2') || status == "304";
        is_success.then_some((label(line, "method")?, label(line, "route")?))
    };
    let lines = text
        .lines()
        .filter(|line| line.contains("request_duration_seconds_count{"));
    lines.filter_map(route).collect()
}

/// The routes of `/openapi.json`, which has each of them for each schema by its name.
fn described(server: &Running) -> BTreeSet<Route> {
    // Those of the scenario and those that its steps made.
    let (_, schemas) = server.get("/api/v1/schemas");
    let schemas: Json = serde_json::from_str(&schemas).unwrap();
    let schemas = schemas.as_array().unwrap();
    let (status, text) = server.get("/openapi.json");
    assert_eq!(status, 200, "{text}");
    let document: Json = serde_json::from_str(&text).unwrap();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut steps: Vec<&str> = path.split('/').collect();
        let is_of_a_schema = |step: &&str| schemas.iter().any(|s| s["name"] == *step);
        if steps.get(4).is_some_and(is_of_a_schema) {
            steps[4] = "{schema}";
        }
        let methods = item.as_object().unwrap().keys();
        routes.extend(methods.map(|method| (method.to_uppercase(), steps.join("/"))));
    }
    routes
}

#[test]
fn the_embedded_engine_answers_as_it_is_written() {
    EMBEDDED.check();
}

#[test]
fn a_database_server_answers_with_the_same_bytes() {
    let mut run = Run::default();
    for scenario in Scenario::all() {
        let Some(database) = Database::create() else {
            return;
        };
        run.play(&scenario, database.url());
    }
    run.check();
    for (name, answers) in &run.answers {
        // Where the embedded engine fails, its own test says so.
        let (Ok(here), Ok(there)) = (answers, &EMBEDDED.answers[name]) else {
            continue;
        };
        for (here, there) in here.iter().zip(there) {
            assert_eq!(here, there, "{name}");
        }
    }
}

#[test]
fn every_route_has_a_scenario() {
    let missing: Vec<_> = EMBEDDED.described.difference(&EMBEDDED.reached).collect();
    assert!(!EMBEDDED.described.is_empty());
    assert!(
        missing.is_empty(),
        "without a success in any scenario: {missing:?}"
    );
}
