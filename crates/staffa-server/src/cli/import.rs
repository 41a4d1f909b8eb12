//! `staffa import`: files of records into a schema, each file whole or not at all.

mod create;
mod failure;
mod local;
mod remote;

use std::fmt;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use staffa_app::{BulkMode, OnError, Tally};
use staffa_codec::decode::{CsvOptions, InputFormat};

use crate::cli::source::{self, Source};
use crate::cli::transfer::{Place, with_app, with_place};
use crate::cli::{AlreadySaid, Invocation, UsageError, block_on};
use crate::client::Client;
use crate::compose::App;
use crate::output::{Output, grouped};
use crate::shutdown::Signals;

use failure::Failure;

/// How many failures of one file are shown.
const FAILURES_SHOWN: usize = 20;

/// What is the same for all files.
#[derive(Debug, Clone)]
struct Request {
    schema: String,
    format: Option<InputFormat>,
    csv: CsvOptions,
    mode: BulkMode,
    on_conflict: Option<Vec<String>>,
    on_error: OnError,
    errors_max: usize,
    /// Where failed records go.
    errors: Option<PathBuf>,
}

impl Request {
    async fn open(&self, file: &str, output: Output) -> anyhow::Result<Source> {
        Source::open(file, self.format, output).await
    }
}

/// What became of one file.
#[derive(Debug, Default)]
struct Summary {
    tally: Tally,
    failures: Vec<Failure>,
}

/// A person ended the work before it was done.
#[derive(Debug)]
struct Interrupted(String);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Interrupted {}

/// What happens to each record, by the words of the API.
const MODES: [(&str, BulkMode); 5] = [
    ("insert", BulkMode::Insert),
    ("upsert", BulkMode::Upsert),
    ("ignore", BulkMode::Ignore),
    ("update", BulkMode::Update),
    ("delete", BulkMode::Delete),
];

/// The word of a mode.
fn word(mode: BulkMode) -> &'static str {
    let found = MODES.iter().find(|(_, known)| *known == mode);
    found.map_or("insert", |(word, _)| word)
}

pub(super) fn command() -> Command {
    let arg = |name: &'static str| Arg::new(name).long(name);
    let command = Command::new("import")
        .about(
            "Write the records of files: CSV, NDJSON, JSON, Arrow or Parquet, also as .gz or .zst",
        )
        .arg(
            Arg::new("schema")
                .value_name("SCHEMA")
                .required(true)
                .help("The schema; with --create it may be left out: it is called as the file"),
        )
        .arg(
            Arg::new("files")
                .value_name("FILE")
                .required_unless_present("create")
                .num_args(1..)
                .help("The files, each stored whole or not at all; - is stdin"),
        )
        .arg(
            arg("mode")
                .value_parser(MODES.map(|(word, _)| word))
                .default_value("insert")
                .help(
                    "What to do with each record: add it; add it or replace the one with its key; \
                     add it unless there is one; change the one with its key by what it gives; \
                     remove the one with its key",
                ),
        )
        .arg(
            arg("on-conflict")
                .value_name("PROPERTIES")
                .value_delimiter(',')
                .help("The key by which others are found [default: the primary key]"),
        )
        .arg(
            arg("on-error")
                .value_parser(["abort", "continue"])
                .default_value("abort")
                .help("After a record that breaks a rule: store nothing, or the good ones"),
        )
        .arg(
            arg("max-errors")
                .value_name("NUMBER")
                .value_parser(value_parser!(u32).range(1..=100_000))
                .default_value("1000")
                .help("How many errors of a file are gathered"),
        )
        .arg(
            arg("create")
                .action(ArgAction::SetTrue)
                .help("Make the schema first, as the first file suggests it"),
        )
        .arg(
            arg("errors")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Where failed records go, as NDJSON, each with what is wrong; for one FILE"),
        );
    with_place(source::with_format(command))
}

pub(super) fn run(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    let mut request = read_request(matches)?;
    let mut files: Vec<String> = matches
        .get_many("files")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    if files.is_empty() {
        // With --create the only name is that of the file.
        files.push(std::mem::take(&mut request.schema));
    }
    if request.format.is_none() && files.iter().any(|file| file == "-") {
        return Err(UsageError("stdin needs --format".to_owned()).into());
    }
    if request.errors.is_some() && files.len() > 1 {
        return Err(UsageError("--errors goes with one FILE".to_owned()).into());
    }
    let place = Place::of(matches, invocation)?;
    let output = invocation.output;
    let is_new = matches.get_flag("create");
    let failed = block_on(async {
        let created = match is_new {
            true => Some(create::propose(&mut request, &files[0], output).await?),
            false => None,
        };
        match place {
            Place::Local(config, declared) => {
                with_app(&config, declared, async |app| {
                    let target = Target::Local(app);
                    if let Some(schema) = created {
                        create::create(&target, schema, output).await?;
                    }
                    app.queries.schema(&request.schema)?;
                    import_all(&target, &request, &files, output).await
                })
                .await
            }
            Place::Remote(client) => {
                let target = Target::Remote(&client);
                if let Some(schema) = created {
                    create::create(&target, schema, output).await?;
                }
                import_all(&target, &request, &files, output).await
            }
        }
    })?;
    if failed {
        Err(AlreadySaid.into())
    } else {
        Ok(())
    }
}

fn read_request(matches: &ArgMatches) -> anyhow::Result<Request> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let (format, csv) = source::read_format(matches)?;
    Ok(Request {
        schema: text("schema").unwrap_or_default(),
        format,
        csv,
        mode: text("mode")
            .and_then(|given| MODES.iter().find(|(word, _)| *word == given))
            .map_or(BulkMode::Insert, |(_, mode)| *mode),
        on_conflict: matches
            .get_many::<String>("on-conflict")
            .map(|names| names.cloned().collect()),
        on_error: match text("on-error").as_deref() {
            Some("continue") => OnError::Continue,
            _ => OnError::Abort,
        },
        errors_max: usize::try_from(*matches.get_one::<u32>("max-errors").unwrap_or(&1_000))?,
        errors: matches.get_one::<PathBuf>("errors").cloned(),
    })
}

/// What is written to.
#[derive(Clone, Copy)]
enum Target<'a> {
    Local(&'a App),
    Remote(&'a Client),
}

/// Imports file after file and says what became of each; answers whether anything failed.
async fn import_all(
    target: &Target<'_>,
    request: &Request,
    files: &[String],
    output: Output,
) -> anyhow::Result<bool> {
    let mut any_failed = false;
    let mut signals = match target {
        // The commit is one, so that a local import may be ended at any moment.
        Target::Local(_) => None,
        Target::Remote(_) => Some(Signals::listen()?),
    };
    for file in files {
        let done = match (target, &mut signals) {
            (Target::Remote(client), Some(signals)) => {
                remote::import((client, signals), request, (file, output)).await
            }
            (Target::Remote(_), None) => continue,
            (Target::Local(app), _) => local::import(app, request, (file, output)).await,
        };
        match done {
            Ok(summary) => {
                say(file, request.mode, &summary, output);
                any_failed |= summary.tally.failed > 0;
            }
            Err(error) if error.is::<UsageError>() || error.is::<Interrupted>() => {
                return Err(error);
            }
            Err(error) => {
                output.error(&format!("{file}: {error:#}"));
                any_failed = true;
            }
        }
    }
    Ok(any_failed)
}

fn say(file: &str, mode: BulkMode, summary: &Summary, output: Output) {
    for failure in summary.failures.iter().take(FAILURES_SHOWN) {
        output.error(&failure.text(file));
    }
    if summary.failures.len() > FAILURES_SHOWN {
        let more = summary.failures.len() - FAILURES_SHOWN;
        output.note(&format!("{file}: {} more errors", grouped(more as u64)));
    }
    output.note(&format!("{file}: {}", counts(mode, &summary.tally)));
}

/// What became of the records, in the words of a mode.
fn counts(mode: BulkMode, tally: &Tally) -> String {
    let stored = (tally.inserted, "stored");
    let mut parts = match mode {
        BulkMode::Insert => vec![stored],
        BulkMode::Upsert => vec![stored, (tally.updated, "replaced")],
        BulkMode::Ignore => vec![stored, (tally.ignored, "left alone")],
        BulkMode::Update => vec![(tally.updated, "changed")],
        BulkMode::Delete => vec![(tally.deleted, "removed")],
    };
    if tally.failed > 0 {
        parts.push((tally.failed, "failed"));
    }
    let mut text = String::new();
    for (count, word) in parts {
        let before = if text.is_empty() { "" } else { ", " };
        let what = if text.is_empty() { " records" } else { "" };
        text.push_str(&format!("{before}{}{what} {word}", grouped(count)));
    }
    text
}
