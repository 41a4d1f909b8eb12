//! `staffa serve`: the server.

use clap::{ArgMatches, Command};

use crate::cli::{Invocation, block_on, settings};
use crate::schemas;
use crate::serve::Server;

pub(super) fn command() -> Command {
    settings::with_settings(Command::new("serve").about("Serve the API"))
}

pub(super) fn run(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    let (_, config) = settings::load(matches, invocation)?;
    let declared = schemas::read_folder(&config.schemas, config.schemas_set)?;
    block_on(async {
        let mut server = Server::bind(&config)?;
        let app = server.open(declared).await?;
        server.run(app, || ()).await
    })
}
