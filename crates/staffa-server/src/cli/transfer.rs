//! What import and export share: where to, and which format.

use clap::{Arg, ArgMatches, Command};
use staffa_domain::Schema;

use crate::cli::{Invocation, UsageError, settings};
use crate::client::Client;
use crate::compose::{App, compose};
use crate::config::Config;
use crate::schemas;

/// Where records are: in a data folder that this process opens, or at a running server.
#[derive(Debug)]
pub(super) enum Place {
    /// The storage that the configuration names.
    Local(Box<Config>, Vec<Schema>),
    /// A running server.
    Remote(Box<Client>),
}

/// Adds `--server` and the settings that reach a data folder.
pub(super) fn with_place(command: Command) -> Command {
    let server = Arg::new("server").long("server").value_name("URL").help(
        "Go through the API of this running server; without it, the data folder is opened, \
         which no server may have open",
    );
    settings::with_settings(command.arg(server))
}

impl Place {
    /// Reads where records are.
    pub(super) fn of(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<Self> {
        let (_, config) = settings::load(matches, invocation)?;
        if let Some(url) = matches.get_one::<String>("server") {
            let client = Client::new(url).map_err(|error| UsageError(format!("{error:#}")))?;
            return Ok(Self::Remote(Box::new(client)));
        }
        let declared = schemas::read_folder(&config.schemas, config.schemas_set)?;
        Ok(Self::Local(Box::new(config), declared))
    }
}

/// Opens the storage, does the work, and closes it in good order whatever came of it.
pub(super) async fn with_app<T>(
    config: &Config,
    declared: Vec<Schema>,
    work: impl AsyncFnOnce(&App) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let app = compose(config, declared).await?;
    let done = work(&app).await;
    app.monitor.close().await;
    done
}

/// The path of a schema's records. A name that could change the path is no schema's.
pub(super) fn records_path(schema: &str) -> anyhow::Result<String> {
    let safe = schema
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !safe || schema.is_empty() {
        return Err(UsageError(format!("{schema:?} is no name of a schema")).into());
    }
    Ok(format!("/api/v1/records/{schema}"))
}
