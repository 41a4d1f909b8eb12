//! `cargo xtask test`: every test of the workspace, with PostgreSQL where it can be had.

use std::process::{Command, ExitCode};

use crate::postgres_cluster::{KillableCluster, PostgresCluster};
use crate::{output, workspace};

/// The variable through which tests learn of a PostgreSQL server; without it they skip.
const POSTGRES_URL: &str = "STAFFA_TEST_POSTGRES_URL";
/// And of one that they may kill, and that comes back by itself.
const POSTGRES_KILL_URL: &str = "STAFFA_TEST_POSTGRES_KILL_URL";
const NO_POSTGRES: &str = "--no-postgres";

/// Runs `cargo test` and answers its exit code; arguments other than `--no-postgres` go to cargo.
///
/// The clusters live exactly as long as this call, whatever way it ends.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let mut command = cargo_test(arguments);
    let is_unwanted = arguments.iter().any(|argument| argument == NO_POSTGRES);
    let clusters = if is_unwanted {
        output::note("PostgreSQL tests are skipped, as asked");
        command.env_remove(POSTGRES_URL);
        command.env_remove(POSTGRES_KILL_URL);
        (None, None)
    } else {
        (
            start_unless_named(POSTGRES_URL, PostgresCluster::start)?,
            start_unless_named(POSTGRES_KILL_URL, KillableCluster::start)?,
        )
    };
    if let Some(cluster) = &clusters.0 {
        command.env(POSTGRES_URL, cluster.url());
    }
    if let Some(cluster) = &clusters.1 {
        command.env(POSTGRES_KILL_URL, cluster.url());
    }
    let status = workspace::status(&mut command);
    drop(clusters);
    Ok(workspace::exit_code(status?))
}

fn start_unless_named<T>(
    variable: &str,
    start: impl FnOnce() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<Option<T>> {
    if std::env::var_os(variable).is_none() {
        return start();
    }
    output::note(&format!("tests use the server named by {variable}"));
    Ok(None)
}

fn cargo_test(arguments: &[String]) -> Command {
    let mut command = workspace::cargo();
    command.args(["test", "--release"]);
    if !arguments.iter().any(|argument| selects_package(argument)) {
        command.arg("--workspace");
    }
    command.args(arguments.iter().filter(|argument| *argument != NO_POSTGRES));
    command
}

fn selects_package(argument: &str) -> bool {
    argument.starts_with("-p") || argument.starts_with("--package")
}

#[cfg(test)]
mod tests {
    use super::cargo_test;

    #[track_caller]
    fn check(arguments: &[&str], expected: &[&str]) {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let command = cargo_test(&arguments);
        assert_eq!(command.get_args().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_whole_workspace_unless_a_package_is_named() {
        check(&[], &["test", "--release", "--workspace"]);
        check(
            &["--no-postgres", "--locked"],
            &["test", "--release", "--workspace", "--locked"],
        );
        check(&["-p", "xtask"], &["test", "--release", "-p", "xtask"]);
        check(
            &["--package=xtask"],
            &["test", "--release", "--package=xtask"],
        );
    }
}
