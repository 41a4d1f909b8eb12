//! `staffa export`: all records of a schema, to a file or to stdout.

use clap::{ArgMatches, Command};

use crate::cli::Invocation;
use crate::cli::answer::{self, Question};

pub(super) fn command() -> Command {
    let command = Command::new("export").about("Write all records of a schema");
    answer::with_form(command, "data")
}

pub(super) fn run(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    answer::run(matches, invocation, Question::default())
}
