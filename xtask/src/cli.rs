//! The list of commands and the choice between them. The work itself is one module per command.

use std::process::ExitCode;

use crate::{bench, ci, deploy, fuzz, output, test, tidy};

const USAGE: &str = "\
usage: cargo xtask <command>

  tidy                          check the layering, naming and size rules
  test [--no-postgres] [args]   run all tests, with a throw-away PostgreSQL cluster when possible
  bench [args]                  run `staffa bench` in the release profile
  fuzz [--seconds N] [target…]  look for bytes that break a parser, by all targets or some
  deploy                        check the files of deploy/ against their schemas
  ci                            everything that must pass before a merge";

/// Exit code of a wrong command line, the same as the server's.
const WRONG_USAGE: u8 = 2;

/// Runs the command named by the first argument and hands it the others.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let Some((command, rest)) = arguments.split_first() else {
        return Ok(wrong_usage("a command is missing"));
    };
    match command.as_str() {
        "tidy" if rest.is_empty() => tidy::run(),
        "test" => test::run(rest),
        "bench" => bench::run(rest),
        "fuzz" => fuzz::run(rest),
        "deploy" if rest.is_empty() => deploy::run(),
        "ci" if rest.is_empty() => ci::run(),
        "help" | "--help" | "-h" => {
            output::say(USAGE);
            Ok(ExitCode::SUCCESS)
        }
        "tidy" | "deploy" | "ci" => Ok(wrong_usage(&format!("`{command}` takes no arguments"))),
        _ => Ok(wrong_usage(&format!("there is no command `{command}`"))),
    }
}

fn wrong_usage(message: &str) -> ExitCode {
    output::error(&format!("{message}\n\n{USAGE}"));
    ExitCode::from(WRONG_USAGE)
}
