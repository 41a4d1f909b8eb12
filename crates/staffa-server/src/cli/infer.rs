//! `staffa schema infer`: schemas proposed from files, which need no storage.

use std::path::Path;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};
use staffa_app::{Context, InferSchema, Limits, SampleSize, infer_schema};
use staffa_codec::decode::{CsvOptions, InputFormat};
use staffa_codec::document::proposal_yaml;
use staffa_domain::infer::Proposal;

use crate::cli::source::{self, Source, stem};
use crate::cli::{Invocation, UsageError, block_on};
use crate::output::Output;

pub(super) fn command() -> Command {
    let files = Arg::new("files")
        .value_name("FILE")
        .required(true)
        .num_args(1..)
        .help("The files, a schema each; - is stdin");
    let name = Arg::new("name")
        .long("name")
        .value_name("NAME")
        .help("The name of the schema, of one file [default: the file's]");
    let rows = Arg::new("rows")
        .long("rows")
        .value_name("NUMBER")
        .value_parser(value_parser!(u64).range(1..))
        .help("Look at so many records of a file only [default: all]");
    let to = Arg::new("to")
        .long("to")
        .value_name("FOLDER")
        .help("Write each document to a file in this folder, instead of stdout");
    let about = "Propose schemas from files: CSV, NDJSON, JSON, Arrow or Parquet";
    let command = Command::new("infer").about(about).arg(files).arg(name);
    source::with_format(command.arg(rows).arg(to))
}

pub(super) fn run(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    let files: Vec<&String> = matches.get_many("files").into_iter().flatten().collect();
    let name = matches.get_one::<String>("name");
    if name.is_some() && files.len() > 1 {
        return Err(UsageError("--name goes with one file".to_owned()).into());
    }
    let (format, csv) = source::read_format(matches)?;
    if format.is_none() && files.iter().any(|file| *file == "-") {
        return Err(UsageError("stdin needs --format".to_owned()).into());
    }
    let rows = matches.get_one::<u64>("rows").copied();
    let folder = matches.get_one::<String>("to").map(Path::new);
    let output = invocation.output;
    let mut is_first = true;
    for file in files {
        let name = name.map_or_else(|| stem(file), String::as_str);
        let proposal = block_on(propose(file, format, (name, csv.clone(), rows), output))?;
        let text = proposal_yaml(&proposal);
        if let Some(folder) = folder {
            let path = folder.join(format!("{}.yaml", proposal.schema.name));
            write_new(&path, &text).with_context(|| path.display().to_string())?;
            output.note(&format!("{} was written", path.display()));
        } else {
            let start = if is_first { "" } else { "---\n" };
            output.data(format!("{start}{text}").as_bytes())?;
        }
        is_first = false;
    }
    Ok(())
}

async fn propose(
    file: &str,
    format: Option<InputFormat>,
    (name, csv, rows): (&str, CsvOptions, Option<u64>),
    output: Output,
) -> anyhow::Result<Proposal> {
    let source = Source::open(file, format, output).await;
    let source = source.with_context(|| file.to_owned())?;
    let proposal = infer(source, name, csv, rows).await;
    proposal.with_context(|| file.to_owned())
}

/// Proposes a schema from a file, of which `rows` are looked at, or all.
pub(super) async fn infer(
    source: Source,
    name: &str,
    csv: CsvOptions,
    rows: Option<u64>,
) -> anyhow::Result<Proposal> {
    let mut size = SampleSize::ALL;
    if let Some(rows) = rows {
        size.rows_max = rows;
    }
    let request = InferSchema {
        name: name.to_owned(),
        format: source.format,
        compression: source.compression,
        csv,
        size,
        body: source.body,
    };
    let ctx = Context::new("schema-infer");
    let proposal = infer_schema(&ctx, &Limits::default(), request).await;
    proposal.map_err(|error| match error {
        staffa_app::Error::SchemaInvalid(problems) => {
            let messages: Vec<_> = problems.into_iter().map(|one| one.message).collect();
            anyhow::anyhow!(messages.join("; "))
        }
        other => other.into(),
    })
}

/// Writes a file that must not be there yet.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create_new(path)?;
    file.write_all(text.as_bytes())
}
