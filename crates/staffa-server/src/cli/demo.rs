//! `staffa demo`: a server with real example data, from nothing.

use clap::{ArgMatches, Command};
use tempfile::TempDir;

use crate::cli::{Invocation, block_on, settings};
use crate::demo;
use crate::serve::Server;

pub(super) fn command() -> Command {
    let command = Command::new("demo").about(
        "Serve the example data: flights from New York in 2013. Kept in --data-dir where it is \
         given, else in a temporary folder that goes with the server",
    );
    settings::with_settings(command)
}

pub(super) fn run(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    let (_, config) = settings::load(matches, invocation)?;
    let temporary = if config.data_dir_set {
        None
    } else {
        Some(temporary_folder()?)
    };
    let config = match &temporary {
        Some(folder) => config.in_data_dir(folder.path()),
        None => config,
    };
    let output = invocation.output;
    let done = block_on(async {
        let mut server = Server::bind(&config)?;
        let app = server.open(demo::schemas()?).await?;
        let load = demo::load(&app.commands, &app.queries, output);
        let loaded = server.unless_ended(load).await;
        let text = match loaded {
            Ok(()) => demo::welcome(&app.queries, &server.url()?).await,
            Err(error) => Err(error),
        };
        match text {
            Ok(text) => server.run(app, || output.note(&text)).await,
            Err(error) => {
                app.monitor.close().await;
                Err(error)
            }
        }
    });
    drop(temporary);
    done
}

fn temporary_folder() -> std::io::Result<TempDir> {
    tempfile::Builder::new().prefix("staffa-demo-").tempdir()
}
