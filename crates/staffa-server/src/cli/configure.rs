//! `staffa config`: checks the configuration, or shows each value and where it came from.

use clap::{ArgMatches, Command};

use crate::cli::{Invocation, settings};
use crate::config::with_sources;
use crate::schemas;

pub(super) fn command() -> Command {
    let check = Command::new("check")
        .about("Check the configuration and the schema documents, and start nothing");
    let print = Command::new("print")
        .about("Show each setting's value and where it came from; secrets are masked");
    Command::new("config")
        .about("Check or show the configuration")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(settings::with_settings(check))
        .subcommand(settings::with_settings(print))
}

pub(super) fn run(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    match matches.subcommand() {
        Some(("print", matches)) => {
            let (resolved, _) = settings::load(matches, invocation)?;
            invocation.output.data(with_sources(&resolved).as_bytes())?;
        }
        Some((_, matches)) => {
            let (_, config) = settings::load(matches, invocation)?;
            config.check_served()?;
            let found = schemas::read_folder(&config.schemas, config.schemas_set)?.len();
            let folder = config.schemas.display();
            let text = format!("the configuration is valid; {found} schemas in {folder}");
            invocation.output.note(&text);
        }
        None => {}
    }
    Ok(())
}
