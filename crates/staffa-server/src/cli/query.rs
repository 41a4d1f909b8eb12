//! `staffa query`: the records of a schema that match, in the words of the API.

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::cli::Invocation;
use crate::cli::answer::{self, Question};

pub(super) fn command() -> Command {
    let arg = |name: &'static str| Arg::new(name).long(name);
    let command = Command::new("query")
        .about("Write the records of a schema that match")
        .arg(
            arg("filters")
                .value_name("JSON")
                .help("Which records: a list of conditions that must all hold, or a tree"),
        )
        .arg(
            arg("sort")
                .value_name("FIELDS")
                .allow_hyphen_values(true)
                .help("In which order: -time_hour,carrier, or a JSON list [default: as they lie]"),
        )
        .arg(
            arg("fields")
                .value_name("FIELDS")
                .help("Which properties: carrier,dep_delay [default: all]"),
        )
        .arg(
            arg("limit")
                .value_name("NUMBER")
                .value_parser(value_parser!(u64))
                .help("At most this many [default: all]"),
        );
    answer::with_form(command, "record")
}

pub(super) fn run(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let question = Question {
        filters: text("filters"),
        sort: text("sort"),
        fields: text("fields"),
        limit: matches.get_one::<u64>("limit").copied(),
    };
    answer::run(matches, invocation, question)
}
