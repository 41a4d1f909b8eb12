//! `staffa schema`: the schemas there are, and what documents would make of them.

mod change;
mod show;

use std::fmt::Write as _;

use clap::{ArgMatches, Command};
use serde_json::Value as Json;
use staffa_app::Context;

use crate::cli::transfer::{Place, with_app, with_place};
use crate::cli::{Invocation, block_on, infer};
use crate::client::{problem_text, read_json};

/// One line of the list.
struct Entry {
    name: String,
    version: u64,
    /// A number, behind a `~` where it is an estimate.
    records: String,
    properties: usize,
}

pub(super) fn command() -> Command {
    let list = Command::new("list").about("List the schemas with their versions and records");
    Command::new("schema")
        .about("Look at the schemas, and change them")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_place(list))
        .subcommand(show::command())
        .subcommand(change::plan_command())
        .subcommand(change::apply_command())
        .subcommand(infer::command())
}

pub(super) fn run(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    match matches.subcommand() {
        Some(("plan", matches)) => change::plan(matches, invocation),
        Some(("apply", matches)) => change::apply(matches, invocation),
        Some(("show", matches)) => show::run(matches, invocation),
        Some(("infer", matches)) => infer::run(matches, invocation),
        Some((_, matches)) => print_list(matches, invocation),
        None => Ok(()),
    }
}

fn print_list(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    let place = Place::of(matches, invocation)?;
    let entries = block_on(list(place))?;
    let width = entries
        .iter()
        .map(|entry| entry.name.len())
        .max()
        .unwrap_or(0)
        .max(6);
    let mut text = format!(
        "{:<width$} {:>7} {:>12} {:>10}\n",
        "schema", "version", "records", "properties"
    );
    for Entry {
        name,
        version,
        records,
        properties,
    } in entries
    {
        let _ = writeln!(
            text,
            "{name:<width$} {version:>7} {records:>12} {properties:>10}"
        );
    }
    invocation.output.data(text.as_bytes())?;
    Ok(())
}

async fn list(place: Place) -> anyhow::Result<Vec<Entry>> {
    match place {
        Place::Local(config, declared) => {
            with_app(&config, declared, async |app| {
                let views = app
                    .queries
                    .list_schemas(&Context::new("schema-list"))
                    .await?;
                Ok(views
                    .iter()
                    .map(|view| Entry {
                        name: view.schema.name().to_owned(),
                        version: u64::from(view.schema.version()),
                        records: told(view.record_count.records, view.record_count.exact),
                        properties: view.schema.schema().properties.len(),
                    })
                    .collect())
            })
            .await
        }
        Place::Remote(client) => {
            let answer = client.get("/api/v1/schemas", "application/json").await?;
            let (status, json) = read_json(answer).await?;
            anyhow::ensure!(status.is_success(), problem_text(status, &json));
            Ok(json.as_array().into_iter().flatten().map(entry).collect())
        }
    }
}

fn told(records: u64, is_exact: bool) -> String {
    match is_exact {
        true => records.to_string(),
        false => format!("~{records}"),
    }
}

fn entry(json: &Json) -> Entry {
    let number = |name: &str| json.get(name).and_then(Json::as_u64).unwrap_or(0);
    Entry {
        name: json
            .get("name")
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned(),
        version: number("version"),
        records: told(
            number("record_count"),
            json["record_count_relation"] != "approx",
        ),
        properties: json
            .get("properties")
            .and_then(Json::as_array)
            .map_or(0, Vec::len),
    }
}
