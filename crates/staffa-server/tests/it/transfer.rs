//! `staffa import`, `staffa export` and `staffa schema list`, on a data folder and through a
//! server.

use std::fs;

use crate::program::{TestApp, run};

const READINGS: &str = "
name: readings
primary_key: [sensor, at]
properties:
  - {name: sensor, type: string, required: true}
  - {name: at, type: datetime, required: true}
  - {name: celsius, type: number}
  - {name: price, type: decimal, precision: 10, scale: 2}
  - {name: tags, type: array, items: string}
";

const LINES: &str = concat!(
    r#"{"sensor":"a","at":"2026-01-01T00:00:00Z","celsius":1.5,"price":"2.50","tags":["x","y"]}"#,
    "\n",
    r#"{"sensor":"b,\"","at":"2026-01-01T00:00:00.000001Z","celsius":null,"price":null,"tags":null}"#,
    "\n",
);

fn app() -> TestApp {
    let app = TestApp::new().with_schema("readings.yaml", READINGS);
    fs::write(app.path().join("in.ndjson"), LINES).unwrap();
    app
}

fn sorted(text: &str) -> Vec<serde_json::Value> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
        .into_iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_round_trip_through_a_data_folder() {
    let app = app();
    let said = run(app.path(), &["import", "readings", "in.ndjson"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(0), ""),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.ends_with("in.ndjson: 2 records stored\n"),
        "{}",
        said.stderr
    );
    let out = run(app.path(), &["export", "readings"]);
    assert_eq!(sorted(&out.stdout), sorted(LINES), "{}", out.stderr);
    let list = run(app.path(), &["schema", "list"]);
    let line = list.stdout.lines().nth(1).unwrap();
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>(),
        ["readings", "1", "2", "5"]
    );
}

#[test]
fn a_round_trip_through_a_server() {
    let app = app();
    let server = app.start(&["serve"]);
    let url = server.url();
    let said = run(
        app.path(),
        &["import", "readings", "in.ndjson", "--server", &url],
    );
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let said = run(
        app.path(),
        &["export", "readings", "-o", "out.ndjson", "--server", &url],
    );
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let out = fs::read_to_string(app.path().join("out.ndjson")).unwrap();
    assert_eq!(sorted(&out), sorted(LINES));
    let list = run(app.path(), &["schema", "list", "--server", &url]);
    let line = list.stdout.lines().nth(1).unwrap();
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>(),
        ["readings", "1", "2", "5"]
    );
    assert!(server.terminate().0.success());
}

#[test]
fn a_bad_record_is_named_by_its_line_and_nothing_is_stored() {
    let app = app();
    let csv = "sensor,at,celsius\n\
               a,2026-01-01T00:00:00Z,1\n\
               b,2026-01-01T00:00:00Z,warm\n\
               ,2026-01-01T00:00:00Z,3\n";
    fs::write(app.path().join("bad.csv"), csv).unwrap();
    let server = app.start(&["serve"]);
    let url = server.url();
    let remote = run(
        app.path(),
        &["import", "readings", "bad.csv", "--server", &url],
    );
    assert_eq!(server.count("readings"), 0);
    assert!(server.terminate().0.success());
    let local = run(app.path(), &["import", "readings", "bad.csv"]);
    for said in [remote, local] {
        assert_eq!(said.code, Some(1), "{}", said.stderr);
        assert!(
            said.stderr.contains("error: bad.csv:3: /celsius: "),
            "{}",
            said.stderr
        );
        assert!(
            said.stderr.contains("error: bad.csv:4: /sensor: "),
            "{}",
            said.stderr
        );
        assert!(
            said.stderr
                .ends_with("bad.csv: 0 records stored, 2 failed\n"),
            "{}",
            said.stderr
        );
    }
}

#[test]
fn failed_records_go_into_a_file() {
    let app = app();
    let lines = "{\"sensor\":\"a\",\"at\":\"2026-01-01T00:00:00Z\"}\n{\"sensor\":\"b\"}\n";
    fs::write(app.path().join("some.ndjson"), lines).unwrap();
    let import = |more: &[&str]| {
        let asked = [
            "import",
            "readings",
            "some.ndjson",
            "--on-error",
            "continue",
        ];
        let said = run(
            app.path(),
            &[&asked[..], &["--errors", "failed.ndjson"], more].concat(),
        );
        assert_eq!(said.code, Some(1), "{}", said.stderr);
        let failed = app.path().join("failed.ndjson");
        let text = fs::read_to_string(&failed).unwrap();
        fs::remove_file(failed).unwrap();
        (said.stderr, text)
    };
    let (said, local) = import(&[]);
    assert!(said.ends_with("1 records stored, 1 failed\n"), "{said}");
    assert_eq!(
        local,
        "{\"index\":1,\"line\":2,\"pointer\":\"/at\",\"code\":\"required\",\
         \"message\":\"at is required\",\"row\":{\"sensor\":\"b\"}}\n"
    );
    let server = app.start(&["serve"]);
    let (_, remote) = import(&["--server", &server.url()]);
    // The first record is there by now.
    assert_eq!(remote.lines().count(), 3, "{remote}");
    assert!(remote.ends_with(&local), "{remote}");
    assert!(server.terminate().0.success());
}

/// Runs a command on the data folder and through a server, which it answers alike.
fn both(app: &TestApp, url: Option<&str>, arguments: &[&str]) -> crate::program::Said {
    match url {
        Some(url) => run(app.path(), &[arguments, &["--server", url]].concat()),
        None => run(app.path(), arguments),
    }
}

#[test]
fn every_mode_is_taken_and_told() {
    let check = |app: &TestApp, url: Option<&str>| {
        for (mode, line, told) in [
            (
                "insert",
                r#"{"sensor":"a","at":"2026-01-01T00:00:00Z"}"#,
                "1 records stored",
            ),
            (
                "upsert",
                r#"{"sensor":"a","at":"2026-01-01T00:00:00Z","celsius":1}"#,
                "0 records stored, 1 replaced",
            ),
            (
                "ignore",
                r#"{"sensor":"a","at":"2026-01-01T00:00:00Z","celsius":2}"#,
                "0 records stored, 1 left alone",
            ),
            (
                "update",
                r#"{"sensor":"a","at":"2026-01-01T00:00:00Z","celsius":3}"#,
                "1 records changed",
            ),
            (
                "delete",
                r#"{"sensor":"a","at":"2026-01-01T00:00:00Z"}"#,
                "1 records removed",
            ),
        ] {
            fs::write(app.path().join("one.ndjson"), line).unwrap();
            let by = ["import", "readings", "one.ndjson", "--mode", mode];
            let key = ["--on-conflict", "sensor,at"];
            let key = if mode == "insert" { &[][..] } else { &key };
            let said = both(app, url, &[&by[..], key].concat());
            assert_eq!(said.code, Some(0), "{mode}: {}", said.stderr);
            let told = format!("one.ndjson: {told}\n");
            assert!(said.stderr.ends_with(&told), "{mode}: {}", said.stderr);
        }
        let wrong = ["import", "readings", "one.ndjson", "--mode", "upsert"];
        let said = both(
            app,
            url,
            &[&wrong[..], &["--on-conflict", "celsius"]].concat(),
        );
        assert_eq!(said.code, Some(2), "{}", said.stderr);
    };
    let app = app();
    check(&app, None);
    let server = app.start(&["serve"]);
    check(&app, Some(&server.url()));
    assert_eq!(server.count("readings"), 0);
    assert!(server.terminate().0.success());
}

#[test]
fn a_query_answers_what_matches_on_stdout() {
    let check = |app: &TestApp, url: Option<&str>| {
        let filters = r#"[{"field": "celsius", "operator": "is_null"}]"#;
        let said = both(app, url, &["query", "readings", "--filters", filters]);
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
        let record: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(record["data"]["sensor"], "b,\"");
        assert_eq!(record["version"], 1);
        let asked = [
            "query",
            "readings",
            "--sort",
            "-sensor",
            "--fields",
            "sensor,celsius",
        ];
        let more = ["--shape", "data", "--limit", "1"];
        let said = both(app, url, &[&asked[..], &more].concat());
        assert_eq!(said.stdout, "{\"sensor\":\"b,\\\"\",\"celsius\":null}\n");
        let said = both(app, url, &[&asked[..], &["--format", "csv"]].concat());
        let lines: Vec<&str> = said.stdout.lines().collect();
        assert!(lines[0].ends_with(",sensor,celsius"), "{}", said.stdout);
        assert_eq!(lines.len(), 3, "{}", said.stdout);
        for wrong in [
            &["--filters", "nonsense"][..],
            &["--filters", r#"[{"field": "nope", "operator": "is_null"}]"#],
            &["--sort", "nope"],
            &["--fields", "nope"],
            &["--limit", "x"],
        ] {
            let said = both(app, url, &[&["query", "readings"], wrong].concat());
            assert_eq!(
                (said.code, said.stdout.as_str()),
                (Some(2), ""),
                "{wrong:?}"
            );
            assert!(said.stderr.contains("error: "), "{}", said.stderr);
        }
        assert_eq!(both(app, url, &["query", "nothing"]).code, Some(1));
    };
    let app = app();
    assert_eq!(
        run(app.path(), &["import", "readings", "in.ndjson"]).code,
        Some(0)
    );
    check(&app, None);
    let server = app.start(&["serve"]);
    check(&app, Some(&server.url()));
    assert!(server.terminate().0.success());
}

#[test]
fn wrong_usage() {
    let app = app();
    assert_eq!(run(app.path(), &["import", "readings", "-"]).code, Some(2));
    assert_eq!(
        run(app.path(), &["import", "readings", "in.bin"]).code,
        Some(1)
    );
    assert_eq!(
        run(app.path(), &["import", "nothing", "in.ndjson"]).code,
        Some(1)
    );
    assert_eq!(
        run(app.path(), &["export", "readings", "--server", "ftp://x"]).code,
        Some(2)
    );
}
