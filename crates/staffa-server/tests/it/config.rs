//! `staffa config`, `staffa init` and exit codes.

use crate::program::{TestApp, run, staffa};

#[test]
fn print_shows_values_and_sources() {
    let app = TestApp::new();
    std::fs::write(app.path().join("staffa.toml"), "[log]\nlevel = \"warn\"\n").unwrap();
    let output = staffa(app.path())
        .env("STAFFA_DRAIN_TIMEOUT", "7s")
        .env("STAFFA_STORAGE", "postgres://u:hush@h/d")
        .args(["config", "print", "--listen", "127.0.0.1:7"])
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let source = |start: &str| {
        let line = stdout.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("{start}:\n{stdout}"))
            .rsplit_once("# ")
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(source("listen = \"127.0.0.1:7\""), "flag --listen");
    assert_eq!(source("admin_listen = \"127.0.0.1:9090\""), "default");
    assert_eq!(
        source("drain_timeout = \"7s\""),
        "environment STAFFA_DRAIN_TIMEOUT"
    );
    assert_eq!(source("level = \"warn\""), "staffa.toml:2");
    assert!(!stdout.contains("hush"), "{stdout}");
    assert!(output.stderr.is_empty());
}

#[test]
fn unknown_keys_and_bad_values_are_wrong_usage() {
    let app = TestApp::new();
    std::fs::write(
        app.path().join("staffa.toml"),
        "lisen = \"x\"\ndrain_timeout = 5\n",
    )
    .unwrap();
    let said = run(app.path(), &["config", "check"]);
    assert_eq!(said.code, Some(2));
    assert_eq!(
        said.stderr,
        "error: staffa.toml:1: unknown key lisen; did you mean listen?\n\
         error: drain_timeout: \"5\" (staffa.toml:2) is not valid; \
         expected a time span, such as 500ms, 30s or 5m\n"
    );
    assert_eq!(run(app.path(), &["serve"]).code, Some(2));
    assert_eq!(run(app.path(), &["serve", "--nonsense"]).code, Some(2));
    assert_eq!(
        run(app.path(), &["config", "check", "--config", "missing.toml"]).code,
        Some(2)
    );
}

#[test]
fn what_init_writes_is_valid_and_never_overwritten() {
    let app = TestApp::new();
    assert_eq!(run(app.path(), &["init"]).code, Some(0));
    let said = run(app.path(), &["config", "check"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!(
        said.stderr,
        "the configuration is valid; 1 schemas in ./schemas\n"
    );
    assert_eq!(run(app.path(), &["init"]).code, Some(1));
}

#[test]
fn help_is_data_and_no_command_is_wrong_usage() {
    let app = TestApp::new();
    let help = run(app.path(), &["serve", "--help"]);
    assert_eq!(help.code, Some(0));
    assert!(
        help.stdout.contains("--duckdb-memory-limit <SIZE>"),
        "{}",
        help.stdout
    );
    assert_eq!(run(app.path(), &[]).code, Some(2));
}
