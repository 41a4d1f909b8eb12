//! Records out of a schema, to a file or to stdout: what `export` and `query` share.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command};
use futures_util::StreamExt as _;
use staffa_app::{Context, StreamRecords};
use staffa_codec::encode::{OutputFormat, Shape, encoder};
use staffa_codec::question::{self, QuestionProblem};

use crate::cli::transfer::{Place, percent_encoded, records_path, refusal, with_app, with_place};
use crate::cli::{Invocation, UsageError, block_on};
use crate::client::{Client, read_json};
use crate::compose::App;
use crate::output::{Output, Progress};

/// Which records are asked for, in the words of the API; all of them where nothing is said.
#[derive(Debug, Default)]
pub(super) struct Question {
    pub(super) filters: Option<String>,
    pub(super) sort: Option<String>,
    pub(super) fields: Option<String>,
    pub(super) limit: Option<u64>,
}

/// What to answer, and as what.
struct Request {
    schema: String,
    question: Question,
    format: OutputFormat,
    shape: Shape,
}

/// Adds the arguments that say of what schema, in which form, and where to.
pub(super) fn with_form(command: Command, shape: &'static str) -> Command {
    let arg = |name: &'static str| Arg::new(name).long(name);
    let schema = Arg::new("schema")
        .value_name("SCHEMA")
        .required(true)
        .help("The schema");
    let format = arg("format")
        .value_parser(["ndjson", "csv", "arrow", "parquet"])
        .default_value("ndjson")
        .help("The format");
    let shape = arg("shape")
        .value_parser(["data", "record"])
        .default_value(shape)
        .help("For ndjson: the properties alone, as import takes them, or whole records");
    let file = arg("output")
        .short('o')
        .value_name("FILE")
        .help("Write to this file, which is complete or not there [default: stdout]");
    with_place(command.arg(schema).arg(format).arg(shape).arg(file))
}

/// Writes the records that are asked for.
pub(super) fn run(
    matches: &ArgMatches,
    invocation: &Invocation,
    question: Question,
) -> anyhow::Result<()> {
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let request = Request {
        schema: text("schema"),
        question,
        format: match text("format").as_str() {
            "csv" => OutputFormat::Csv,
            "arrow" => OutputFormat::ArrowStream,
            "parquet" => OutputFormat::Parquet,
            _ => OutputFormat::NdJson,
        },
        shape: match text("shape").as_str() {
            "record" => Shape::Record,
            _ => Shape::Data,
        },
    };
    let place = Place::of(matches, invocation)?;
    let mut sink = Sink::open(
        matches.get_one::<String>("output").map(Path::new),
        invocation.output,
    )?;
    block_on(async {
        match place {
            Place::Local(config, declared) => {
                with_app(&config, declared, async |app| {
                    answer_local(app, &request, &mut sink).await
                })
                .await
            }
            Place::Remote(client) => answer_remote(&client, &request, &mut sink).await,
        }
    })?;
    sink.finish()
}

async fn answer_local(app: &App, request: &Request, sink: &mut Sink) -> anyhow::Result<()> {
    let asked = read_question(app, request)?;
    let mut view = app
        .queries
        .stream_records(&Context::new("export"), asked)
        .await?;
    let select = view.select.as_deref();
    let mut encoder = encoder(request.format, &view.schema, select, request.shape);
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

/// Reads the question by the schema, as a server would.
fn read_question(app: &App, request: &Request) -> anyhow::Result<StreamRecords> {
    let schema = app.queries.schema(&request.schema)?;
    let wrong = |problem: QuestionProblem| UsageError(problem.to_string());
    let Question {
        filters,
        sort,
        fields,
        limit,
    } = &request.question;
    let limits = app.queries.limits();
    let limits = question::Limits {
        depth_max: limits.filter_depth_max,
        conditions_max: limits.filter_conditions_max,
    };
    let filter = filters.as_deref().map_or(Ok(None), |text| {
        question::parse_filters_text(&schema, text, "/filters", &limits)
    });
    let sort = sort.as_deref().unwrap_or_default();
    let select = fields
        .as_deref()
        .map(|text| question::parse_fields(&schema, text, "/fields"));
    Ok(StreamRecords {
        filter: filter.map_err(wrong)?,
        sort: question::parse_sort_text(&schema, sort, "/sort").map_err(wrong)?,
        select: select.transpose().map_err(wrong)?,
        limit: *limit,
        schema,
    })
}

async fn answer_remote(client: &Client, request: &Request, sink: &mut Sink) -> anyhow::Result<()> {
    let accept = request.format.content_type();
    let accept = accept.split(';').next().unwrap_or(accept);
    let mut answer = client.get(&stream_path(request)?, accept).await?;
    if !answer.status().is_success() {
        let (status, problem) = read_json(answer).await?;
        return Err(refusal(status, &problem));
    }
    // A server that fails half-way breaks the connection, which is an error here.
    while let Some(bytes) = answer.next().await? {
        sink.put(&bytes)?;
    }
    Ok(())
}

fn stream_path(request: &Request) -> anyhow::Result<String> {
    let mut parameters = Vec::new();
    if request.format == OutputFormat::NdJson {
        parameters.push(match request.shape {
            Shape::Record => "shape=record".to_owned(),
            Shape::Data => "shape=data".to_owned(),
        });
    }
    let Question {
        filters,
        sort,
        fields,
        limit,
    } = &request.question;
    for (name, text) in [("filters", filters), ("sort", sort), ("fields", fields)] {
        if let Some(text) = text {
            parameters.push(format!("{name}={}", percent_encoded(text)));
        }
    }
    if let Some(limit) = limit {
        parameters.push(format!("limit={limit}"));
    }
    let records = records_path(&request.schema)?;
    Ok(format!("{records}/stream?{}", parameters.join("&")))
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
