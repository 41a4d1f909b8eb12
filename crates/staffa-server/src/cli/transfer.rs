//! What the commands share that reach records: where these are, and how that is reached.

use std::fmt::Write as _;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use http::StatusCode;
use serde_json::Value as Json;
use staffa_domain::Schema;

use crate::cli::{Invocation, UsageError, settings};
use crate::client::{Client, problem_text};
use crate::compose::{App, compose};
use crate::config::{Config, read_span};
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
    let patience = Arg::new("server-timeout")
        .long("server-timeout")
        .value_name("TIME")
        .default_value("5m")
        .value_parser(|text: &str| read_span(text).ok_or("expected a time span, such as 30s or 5m"))
        .help("How long the server may take nothing and send nothing before it is given up");
    settings::with_settings(command.arg(server).arg(patience))
}

impl Place {
    /// Reads where records are.
    pub(super) fn of(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<Self> {
        let (_, config) = settings::load(matches, invocation)?;
        if let Some(url) = matches.get_one::<String>("server") {
            let patience = matches.get_one::<Duration>("server-timeout").copied();
            let client = Client::new(url, patience.unwrap_or(Duration::MAX));
            let client = client.map_err(|error| UsageError(format!("{error:#}")))?;
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

/// The error that an answer reports: wrong usage where the question is to blame, as it would be
/// without a server between.
pub(super) fn refusal(status: StatusCode, problem: &Json) -> anyhow::Error {
    const OF_QUESTIONS: [&str; 3] = ["invalid_parameter", "unknown_field", "unknown_operator"];
    let text = problem_text(status, problem);
    let code = problem.get("code").and_then(Json::as_str);
    match code.is_some_and(|code| OF_QUESTIONS.contains(&code)) {
        true => UsageError(text).into(),
        false => anyhow::Error::msg(text),
    }
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

/// A text as the value of a parameter in a URL.
pub(super) fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        // Writing to a string can't fail.
        let _ = match byte.is_ascii_alphanumeric() {
            true => write!(out, "{}", char::from(byte)),
            false => write!(out, "%{byte:02X}"),
        };
        out
    })
}
