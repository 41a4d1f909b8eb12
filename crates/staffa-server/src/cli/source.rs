//! A file of records: its format and packing by its name and first bytes, and its bytes.

use std::os::fd::AsFd as _;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use clap::{Arg, ArgMatches, Command};
use futures_util::StreamExt as _;
use staffa_app::{BodyError, ByteStream, Progress};
use staffa_codec::decode::{Compression, CsvOptions, InputFormat};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use crate::cli::UsageError;
use crate::output::{Output, grouped};

/// How much is read at once.
const CHUNK_BYTES: usize = 256 << 10;
/// How much is looked at to tell the format.
const HEAD_BYTES: usize = 4 << 10;

/// Adds the arguments that say how files are written.
pub(super) fn with_format(command: Command) -> Command {
    let arg = |name: &'static str| Arg::new(name).long(name);
    command
        .arg(
            arg("format")
                .value_parser(["csv", "ndjson", "json", "arrow", "parquet"])
                .help("The format [default: as the file's name ends]"),
        )
        .arg(
            arg("null-value")
                .value_name("TEXT")
                .help("CSV: a cell with this text is null"),
        )
        .arg(
            arg("delimiter")
                .value_name("CHAR")
                .help("CSV: what stands between cells [default: ,]"),
        )
}

/// Reads them: the format where one is given, and how CSV is written.
pub(super) fn read_format(
    matches: &ArgMatches,
) -> Result<(Option<InputFormat>, CsvOptions), UsageError> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let mut csv = CsvOptions {
        null_value: text("null-value"),
        ..CsvOptions::default()
    };
    if let Some(delimiter) = text("delimiter") {
        csv.delimiter = match delimiter.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => *byte,
            b"\\t" => b'\t',
            _ => {
                return Err(UsageError(
                    "--delimiter takes one ASCII character".to_owned(),
                ));
            }
        };
    }
    Ok((text("format").as_deref().and_then(format_of), csv))
}

/// A file that is open.
pub(super) struct Source {
    pub(super) format: InputFormat,
    pub(super) compression: Compression,
    pub(super) body: ByteStream,
    /// How many records were read of it, where somebody counts them.
    pub(super) records: Arc<Progress>,
}

impl Source {
    /// Opens a file; `-` is stdin.
    pub(super) async fn open(
        name: &str,
        format: Option<InputFormat>,
        output: Output,
    ) -> anyhow::Result<Self> {
        let mut file = open_file(name).await.context("can't be read")?;
        let size = file
            .metadata()
            .await
            .ok()
            .filter(std::fs::Metadata::is_file);
        let head = read_head(&mut file).await.context("can't be read")?;
        let compression = compression_of(&head);
        let format = match format.or_else(|| format_of_name(name)) {
            Some(InputFormat::Json) if is_lines(&head, compression) => InputFormat::NdJson,
            Some(format) => format,
            None => {
                let text = format!("{name}: the name tells no format; give --format");
                return Err(UsageError(text).into());
            }
        };
        let progress = Arc::new(output.progress(name, size.map(|data| data.len())));
        let rest = ReaderStream::with_capacity(file, CHUNK_BYTES);
        let rest = rest.map(|chunk| chunk.map_err(|_| BodyError::Disconnected));
        let head = futures_util::stream::iter([Ok(head)]);
        let records = Arc::<Progress>::default();
        let (label, counted) = (name.to_owned(), Arc::clone(&records));
        let body = head.chain(rest).inspect(move |chunk| {
            let records = counted.received();
            if records > 0 {
                progress.label(&format!("{label}, {} records", grouped(records)));
            }
            progress.add(chunk.as_ref().map_or(0, Bytes::len));
        });
        Ok(Self {
            format,
            compression,
            body: Box::pin(body),
            records,
        })
    }
}

async fn open_file(name: &str) -> std::io::Result<File> {
    if name == "-" {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
        return Ok(File::from_std(std::fs::File::from(stdin)));
    }
    File::open(name).await
}

async fn read_head(file: &mut File) -> std::io::Result<Bytes> {
    let mut head = BytesMut::with_capacity(HEAD_BYTES);
    while head.len() < HEAD_BYTES && file.read_buf(&mut head).await? > 0 {}
    Ok(head.freeze())
}

/// The packing, by the magic number alone: names may lie.
fn compression_of(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// The format of a word.
fn format_of(word: &str) -> Option<InputFormat> {
    match word {
        "csv" => Some(InputFormat::Csv),
        "ndjson" | "jsonl" => Some(InputFormat::NdJson),
        "json" => Some(InputFormat::Json),
        "arrow" | "arrows" => Some(InputFormat::ArrowStream),
        "parquet" => Some(InputFormat::Parquet),
        _ => None,
    }
}

/// The name of a file without its folders, and without how it ends.
pub(super) fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.split('.')
        .find(|part| !part.is_empty())
        .unwrap_or(file)
}

fn format_of_name(name: &str) -> Option<InputFormat> {
    let name = name.to_ascii_lowercase();
    let packed = [".gz", ".zst"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    let (_, extension) = packed.unwrap_or(&name).rsplit_once('.')?;
    format_of(extension)
}

/// Whether what is called JSON is one object a line instead of an array.
fn is_lines(head: &[u8], compression: Compression) -> bool {
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    compression == Compression::None && first == Some(&b'{')
}

/// The media type of a format.
pub(super) const fn content_type(format: InputFormat) -> &'static str {
    match format {
        InputFormat::Json => "application/json",
        InputFormat::NdJson => "application/x-ndjson",
        InputFormat::Csv => "text/csv",
        InputFormat::ArrowStream => "application/vnd.apache.arrow.stream",
        InputFormat::Parquet => "application/vnd.apache.parquet",
    }
}

#[cfg(test)]
mod tests {
    use super::{Compression, InputFormat, compression_of, format_of_name, is_lines, stem};

    #[track_caller]
    fn check(name: &str, expected: Option<InputFormat>) {
        assert_eq!(format_of_name(name), expected, "{name}");
    }

    #[test]
    fn names_tell_formats() {
        check("a/b.csv", Some(InputFormat::Csv));
        check("b.CSV.gz", Some(InputFormat::Csv));
        check("b.ndjson.zst", Some(InputFormat::NdJson));
        check("b.jsonl", Some(InputFormat::NdJson));
        check("b.json", Some(InputFormat::Json));
        check("b.parquet", Some(InputFormat::Parquet));
        check("b.arrow.zst", Some(InputFormat::ArrowStream));
        check("b.gz", None);
        check("b", None);
        check("-", None);
    }

    #[test]
    fn names_tell_schemas() {
        for (file, expected) in [
            ("a/flights.csv.gz", "flights"),
            ("planes", "planes"),
            ("./.hidden.csv", "hidden"),
            ("-", "-"),
        ] {
            assert_eq!(stem(file), expected);
        }
    }

    #[test]
    fn first_bytes_tell_packing_and_lines() {
        assert_eq!(compression_of(&[0x1f, 0x8b, 8]), Compression::Gzip);
        assert_eq!(
            compression_of(&[0x28, 0xb5, 0x2f, 0xfd, 1]),
            Compression::Zstd
        );
        assert_eq!(compression_of(b"a,b"), Compression::None);
        assert!(is_lines(b" \n{\"a\": 1}", Compression::None));
        assert!(!is_lines(b"[{}]", Compression::None));
    }
}
