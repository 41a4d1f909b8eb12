//! Where a value comes from when several sources name it, and what is refused on the way.

use super::*;

const MACHINE: Machine = Machine {
    cores: 3,
    memory_bytes: 1 << 30,
};

fn inputs(flags: &[(&'static str, &str)], environment: &[(&str, &str)], file: &str) -> Inputs {
    Inputs {
        flags: flags
            .iter()
            .map(|(name, text)| (*name, (*text).to_owned()))
            .collect(),
        environment: environment
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect(),
        file: Some(("staffa.toml".to_owned(), file.to_owned())),
        machine: MACHINE,
    }
}

#[track_caller]
fn check(inputs: &Inputs, name: &str, value: &str, source: &str) {
    let resolved = resolve(inputs).unwrap();
    let found = resolved
        .iter()
        .find(|resolved| resolved.setting.name == name)
        .unwrap();
    assert_eq!(
        found.value.as_ref().map(ToString::to_string).as_deref(),
        Some(value)
    );
    assert_eq!(found.source.to_string(), source);
}

#[track_caller]
fn check_problems(inputs: &Inputs, expected: &[&str]) {
    assert_eq!(resolve(inputs).unwrap_err().0, expected);
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let file = "listen = \"127.0.0.1:1\"";
    let environment = [("STAFFA_LISTEN", "127.0.0.1:2")];
    let flags = [("listen", "127.0.0.1:3")];
    check(&inputs(&[], &[], ""), "listen", "127.0.0.1:8080", "default");
    check(
        &inputs(&[], &[], file),
        "listen",
        "127.0.0.1:1",
        "staffa.toml:1",
    );
    check(
        &inputs(&[], &environment, file),
        "listen",
        "127.0.0.1:2",
        "environment STAFFA_LISTEN",
    );
    check(
        &inputs(&flags, &environment, file),
        "listen",
        "127.0.0.1:3",
        "flag --listen",
    );
}

#[test]
fn every_setting_can_be_set_in_each_place() {
    for setting in SETTINGS {
        let text = match setting.kind {
            Kind::Address => "127.0.0.1:77".to_owned(),
            Kind::Path | Kind::Secret | Kind::LogFilter => "some".to_owned(),
            Kind::Storage => "postgres://h/d".to_owned(),
            Kind::Flag => "true".to_owned(),
            Kind::Count { min, .. } => min.to_string(),
            Kind::Bytes { .. } => "1GiB".to_owned(),
            Kind::Duration => "7s".to_owned(),
            Kind::Choice(words) => words[0].to_owned(),
        };
        let file = format!("{} = {text:?}", setting.name);
        check(
            &inputs(&[], &[], &file),
            setting.name,
            &text,
            "staffa.toml:1",
        );
        let variable = setting.variable();
        let source = format!("environment {variable}");
        check(
            &inputs(&[], &[(&variable, &text)], ""),
            setting.name,
            &text,
            &source,
        );
        let source = format!("flag --{}", setting.flag());
        check(
            &inputs(&[(setting.name, &text)], &[], ""),
            setting.name,
            &text,
            &source,
        );
    }
}

#[test]
fn no_two_settings_share_a_name() {
    for (index, one) in SETTINGS.iter().enumerate() {
        for other in &SETTINGS[index + 1..] {
            assert_ne!(one.name, other.name);
            assert_ne!(one.flag(), other.flag());
            assert_ne!(one.variable(), other.variable());
        }
    }
}

#[test]
fn defaults_follow_the_machine() {
    check(
        &inputs(&[], &[], ""),
        "duckdb.memory_limit",
        "512MiB",
        "default",
    );
    check(
        &inputs(&[], &[], ""),
        "limits.bodies_bytes_max",
        "256MiB",
        "default",
    );
    check(&inputs(&[], &[], ""), "duckdb.threads", "3", "default");
}

#[test]
fn the_engine_may_stand_in_a_table_of_storage() {
    let file = "[storage]\nurl = 'postgres://h/d'\n[storage.postgres]\ndistribution = 'citus'";
    check(
        &inputs(&[], &[], file),
        "storage",
        "postgres://h/d",
        "staffa.toml:2",
    );
    check(
        &inputs(&[], &[], file),
        "postgres.distribution",
        "citus",
        "staffa.toml:4",
    );
}

#[test]
fn unknown_keys_name_the_nearest() {
    check_problems(
        &inputs(
            &[],
            &[("STAFFA_LISEN", "x"), ("PATH", "x")],
            "lisen = 1\n[limits]\ncolour = 1",
        ),
        &[
            "staffa.toml:1: unknown key lisen; did you mean listen?",
            "staffa.toml:3: unknown key limits.colour",
            "environment: unknown variable STAFFA_LISEN; did you mean STAFFA_LISTEN?",
        ],
    );
    check_problems(
        &inputs(&[], &[], "memory_limit = '1GB'"),
        &["staffa.toml:1: unknown key memory_limit; did you mean duckdb.memory_limit?"],
    );
    assert!(resolve(&inputs(&[], &[("STAFFA_TEST_POSTGRES_URL", "x")], "")).is_ok());
}

#[test]
fn bad_values_name_setting_source_and_form() {
    check_problems(
        &inputs(
            &[("drain_timeout", "30")],
            &[("STAFFA_DUCKDB_THREADS", "many")],
            "listen = 8080",
        ),
        &[
            "listen: \"8080\" (staffa.toml:1) is not valid; \
             expected an IP address and a port, such as 127.0.0.1:8080",
            "drain_timeout: \"30\" (flag --drain-timeout) is not valid; \
             expected a time span, such as 500ms, 30s or 5m",
            "duckdb.threads: \"many\" (environment STAFFA_DUCKDB_THREADS) is not valid; \
             expected a whole number from 1 to 1024",
        ],
    );
    check_problems(
        &inputs(&[], &[("STAFFA_STORAGE", "mysql://u:secret@h/d")], ""),
        &[
            "storage: \"mysql://u:***@h/d\" (environment STAFFA_STORAGE) is not valid; \
           expected duckdb or a postgres://user@host/database URL",
        ],
    );
}

#[test]
fn broken_files_name_the_line() {
    let problems = resolve(&inputs(&[], &[], "a = 1\n= 2\n")).unwrap_err().0;
    assert!(
        problems[0].starts_with("staffa.toml:2: this is no TOML: "),
        "{problems:?}"
    );
}

#[test]
fn a_problem_is_one_line_whatever_is_named() {
    let file = "\"a\\nb\\u001B[2J\" = 1\n";
    check_problems(
        &inputs(&[], &[("STAFFA_X\nY", "1")], file),
        &[
            r"staffa.toml:1: unknown key a\nb\u{1b}[2J",
            r"environment: unknown variable STAFFA_X\nY",
        ],
    );
}
