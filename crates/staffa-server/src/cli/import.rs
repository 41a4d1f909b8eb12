//! `staffa import`: files of records into a schema, each file whole or not at all.

mod create;
mod failure;

use std::fmt::Write as _;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::Value as Json;
use staffa_app::{BulkMode, Context, Error, IngestRecords, OnError, Return};
use staffa_codec::decode::{Compression, CsvOptions, InputFormat};

use crate::cli::source::{self, Source};
use crate::cli::transfer::{Place, records_path, with_app, with_place};
use crate::cli::{AlreadySaid, Invocation, UsageError, block_on};
use crate::client::{Client, problem_text, read_json};
use crate::compose::App;
use crate::output::{Output, grouped};

use failure::Failure;

/// How many failures of one file are shown.
const FAILURES_SHOWN: usize = 20;

/// What is the same for all files.
#[derive(Debug, Clone)]
struct Request {
    schema: String,
    format: Option<InputFormat>,
    csv: CsvOptions,
    on_error: OnError,
    errors_max: usize,
}

/// What became of one file.
#[derive(Debug, Default)]
struct Summary {
    stored: u64,
    failed: u64,
    failures: Vec<Failure>,
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
            arg("on-error")
                .value_parser(["abort", "continue"])
                .default_value("abort")
                .help("After a record that breaks a rule: store nothing, or the good ones"),
        )
        .arg(
            arg("max-errors")
                .value_name("NUMBER")
                .value_parser(value_parser!(u16))
                .default_value("1000")
                .help("How many errors of a file are gathered"),
        )
        .arg(
            arg("create")
                .action(ArgAction::SetTrue)
                .help("Make the schema first, as the first file suggests it"),
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
        on_error: match text("on-error").as_deref() {
            Some("continue") => OnError::Continue,
            _ => OnError::Abort,
        },
        errors_max: usize::from(
            matches
                .get_one::<u16>("max-errors")
                .copied()
                .unwrap_or(1_000),
        ),
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
    for file in files {
        let source = Source::open(file, request.format, output).await;
        let done = match (source, target) {
            (Err(error), _) => Err(error),
            (Ok(source), Target::Local(app)) => import_local(app, request, source).await,
            (Ok(source), Target::Remote(client)) => import_remote(client, request, source).await,
        };
        match done {
            Ok(summary) => {
                say(file, &summary, output);
                any_failed |= summary.failed > 0;
            }
            Err(error) if error.is::<UsageError>() => return Err(error),
            Err(error) => {
                output.error(&format!("{file}: {error:#}"));
                any_failed = true;
            }
        }
    }
    Ok(any_failed)
}

fn say(file: &str, summary: &Summary, output: Output) {
    for failure in summary.failures.iter().take(FAILURES_SHOWN) {
        output.error(&failure.text(file));
    }
    if summary.failures.len() > FAILURES_SHOWN {
        let more = summary.failures.len() - FAILURES_SHOWN;
        output.note(&format!("{file}: {} more errors", grouped(more as u64)));
    }
    let (stored, failed) = (grouped(summary.stored), grouped(summary.failed));
    if summary.failed == 0 {
        output.note(&format!("{file}: {stored} records stored"));
    } else {
        output.note(&format!("{file}: {stored} records stored, {failed} failed"));
    }
}

async fn import_local(app: &App, request: &Request, source: Source) -> anyhow::Result<Summary> {
    let ingest = IngestRecords {
        schema: request.schema.clone(),
        format: source.format,
        compression: source.compression,
        csv: request.csv.clone(),
        mode: BulkMode::Insert,
        on_conflict: None,
        on_error: request.on_error,
        errors_max: request.errors_max,
        returning: Return::None,
        body_bytes_max: None,
        body: source.body,
    };
    match app
        .commands
        .ingest_records(&Context::new("import"), ingest)
        .await
    {
        Ok(report) => Ok(Summary {
            stored: report.receipt.inserted,
            failed: report.failed,
            failures: report.errors.iter().map(Failure::from).collect(),
        }),
        Err(Error::Malformed(error)) => Ok(Summary {
            stored: 0,
            failed: 1,
            failures: vec![Failure::from(&error)],
        }),
        Err(Error::Invalid { errors } | Error::Refused { errors }) => Ok(Summary {
            stored: 0,
            failed: errors.len() as u64,
            failures: errors.iter().map(Failure::from).collect(),
        }),
        Err(error) => Err(error.into()),
    }
}

async fn import_remote(
    client: &Client,
    request: &Request,
    source: Source,
) -> anyhow::Result<Summary> {
    let path = bulk_path(request, source.format)?;
    let mut headers = vec![(
        http::header::CONTENT_TYPE,
        source::content_type(source.format),
    )];
    match source.compression {
        Compression::None => {}
        Compression::Gzip => headers.push((http::header::CONTENT_ENCODING, "gzip")),
        Compression::Zstd => headers.push((http::header::CONTENT_ENCODING, "zstd")),
    }
    let answer = client.post(&path, &headers, source.body).await?;
    let (status, json) = read_json(answer).await.context("reading the answer")?;
    let errors = json.get("errors").and_then(Json::as_array);
    let failures: Vec<Failure> = errors.into_iter().flatten().map(Failure::from).collect();
    if !status.is_success() && failures.is_empty() {
        anyhow::bail!(problem_text(status, &json));
    }
    let number = |name: &str| json.get(name).and_then(Json::as_u64);
    let failed = number("failed").unwrap_or(failures.len() as u64);
    Ok(Summary {
        stored: number("inserted").unwrap_or(0),
        failed,
        failures,
    })
}

fn bulk_path(request: &Request, format: InputFormat) -> anyhow::Result<String> {
    let on_error = match request.on_error {
        OnError::Abort => "abort",
        OnError::Continue => "continue",
    };
    let records = records_path(&request.schema)?;
    let mut parameters = vec![
        "return=none".to_owned(),
        format!("on_error={on_error}"),
        format!("max_errors={}", request.errors_max),
    ];
    if format == InputFormat::Csv {
        if let Some(null) = &request.csv.null_value {
            parameters.push(format!("null_value={}", percent_encoded(null.as_bytes())));
        }
        if request.csv.delimiter != b',' {
            parameters.push(format!(
                "delimiter={}",
                percent_encoded(&[request.csv.delimiter])
            ));
        }
    }
    Ok(format!("{records}/bulk?{}", parameters.join("&")))
}

fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "%{byte:02X}");
        text
    })
}
