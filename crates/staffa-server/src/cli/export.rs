//! `staffa export`: all records of a schema, to a file or to stdout.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command};
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use staffa_app::{Context, StreamRecords};
use staffa_codec::encode::{OutputFormat, Shape, encoder};

use crate::cli::transfer::{Place, records_path, with_app, with_place};
use crate::cli::{Invocation, block_on};
use crate::client::{Client, problem_text, read_json};
use crate::compose::App;
use crate::output::{Output, Progress};

/// What to export, and as what.
struct Request {
    schema: String,
    format: OutputFormat,
    shape: Shape,
}

pub(super) fn command() -> Command {
    let schema = Arg::new("schema")
        .value_name("SCHEMA")
        .required(true)
        .help("The schema");
    let format = Arg::new("format")
        .long("format")
        .value_parser(["ndjson", "csv", "arrow", "parquet"])
        .default_value("ndjson")
        .help("The format");
    let shape = Arg::new("shape")
        .long("shape")
        .value_parser(["data", "record"])
        .default_value("data")
        .help("For ndjson: the properties alone, as import takes them, or whole records");
    let file = Arg::new("file")
        .short('o')
        .long("output")
        .value_name("FILE")
        .help("Write to this file, which is complete or not there [default: stdout]");
    let command = Command::new("export").about("Write all records of a schema");
    with_place(command.arg(schema).arg(format).arg(shape).arg(file))
}

pub(super) fn run(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let request = Request {
        schema: text("schema"),
        format: match text("format").as_str() {
            "csv" => OutputFormat::Csv,
            "arrow" => OutputFormat::ArrowStream,
            "parquet" => OutputFormat::Parquet,
            _ => OutputFormat::NdJson,
        },
        shape: if text("shape") == "record" {
            Shape::Record
        } else {
            Shape::Data
        },
    };
    let place = Place::of(matches, invocation)?;
    let mut sink = Sink::open(
        matches.get_one::<String>("file").map(Path::new),
        invocation.output,
    )?;
    block_on(async {
        match place {
            Place::Local(config, declared) => {
                with_app(&config, declared, async |app| {
                    export_local(app, &request, &mut sink).await
                })
                .await
            }
            Place::Remote(client) => export_remote(&client, &request, &mut sink).await,
        }
    })?;
    sink.finish()
}

async fn export_local(app: &App, request: &Request, sink: &mut Sink) -> anyhow::Result<()> {
    let schema = app.queries.schema(&request.schema)?;
    let mut encoder = encoder(request.format, &schema, None, request.shape);
    let stream = StreamRecords {
        schema,
        filter: None,
        sort: Vec::new(),
        select: None,
        limit: None,
    };
    let mut view = app
        .queries
        .stream_records(&Context::new("export"), stream)
        .await?;
    let mut bytes = Vec::new();
    encoder.start(&mut bytes)?;
    while let Some(batch) = view.batches.next().await {
        encoder.encode(&batch?, &mut bytes)?;
        sink.put(&bytes)?;
        bytes.clear();
    }
    encoder.finish(&mut bytes)?;
    sink.put(&bytes)
}

async fn export_remote(client: &Client, request: &Request, sink: &mut Sink) -> anyhow::Result<()> {
    let shape = match request.shape {
        Shape::Record => "record",
        Shape::Data => "data",
    };
    let path = format!("{}/stream?shape={shape}", records_path(&request.schema)?);
    let accept = request.format.content_type();
    let answer = client
        .get(&path, accept.split(';').next().unwrap_or(accept))
        .await?;
    if !answer.status().is_success() {
        let (status, problem) = read_json(answer).await?;
        anyhow::bail!(problem_text(status, &problem));
    }
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        // A server that fails half-way breaks the connection, which is an error here.
        let frame = frame.context("the server broke off")?;
        if let Some(bytes) = frame.data_ref() {
            sink.put(bytes)?;
        }
    }
    Ok(())
}

/// Where the bytes go.
enum Sink {
    Stdout(Output),
    File {
        file: File,
        part: PathBuf,
        path: PathBuf,
        progress: Progress,
    },
}

impl Sink {
    fn open(path: Option<&Path>, output: Output) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self::Stdout(output));
        };
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = path.with_file_name(name);
        let file =
            File::create(&part).with_context(|| format!("can't write {}", part.display()))?;
        let progress = output.progress(&format!("writing {}", path.display()), None);
        Ok(Self::File {
            file,
            part,
            path: path.to_owned(),
            progress,
        })
    }

    fn put(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Stdout(output) => output.data(bytes)?,
            Self::File {
                file,
                part,
                progress,
                ..
            } => {
                let written = file.write_all(bytes);
                written.with_context(|| format!("can't write {}", part.display()))?;
                progress.add(bytes.len());
            }
        }
        Ok(())
    }

    /// Gives a complete file its name.
    fn finish(self) -> anyhow::Result<()> {
        if let Self::File {
            file, part, path, ..
        } = self
        {
            file.sync_all()?;
            let renamed = fs::rename(&part, &path);
            renamed.with_context(|| format!("can't write {}", path.display()))?;
        }
        Ok(())
    }
}
