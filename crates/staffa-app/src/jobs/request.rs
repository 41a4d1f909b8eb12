//! What a job is to do, as it is kept: everything that was asked for but the body.

use serde::{Deserialize, Serialize};
use staffa_codec::decode::{Compression, CsvOptions, DecodeOptions, InputFormat};
use staffa_domain::StorageError;

use super::{ChangeRequest, JobKind};
use crate::body::ByteStream;
use crate::commands::{BulkMode, IngestRecords, OnError, Return};
use crate::limits::Limits;

const FORMATS: [(InputFormat, &str); 5] = [
    (InputFormat::Json, "json"),
    (InputFormat::NdJson, "ndjson"),
    (InputFormat::Csv, "csv"),
    (InputFormat::ArrowStream, "arrow"),
    (InputFormat::Parquet, "parquet"),
];
const COMPRESSIONS: [(Compression, &str); 3] = [
    (Compression::None, "none"),
    (Compression::Gzip, "gzip"),
    (Compression::Zstd, "zstd"),
];
const MODES: [(BulkMode, &str); 5] = [
    (BulkMode::Insert, "insert"),
    (BulkMode::Upsert, "upsert"),
    (BulkMode::Ignore, "ignore"),
    (BulkMode::Update, "update"),
    (BulkMode::Delete, "delete"),
];
const ON_ERROR: [(OnError, &str); 2] = [(OnError::Abort, "abort"), (OnError::Continue, "continue")];

/// What was asked for. Which it is shows in its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum JobRequest {
    /// A bulk write.
    Ingest(IngestRequest),
    /// A change of a schema.
    Change(ChangeRequest),
}

impl JobRequest {
    pub(super) fn schema(&self) -> &str {
        match self {
            Self::Ingest(request) => &request.schema,
            Self::Change(request) => request.schema(),
        }
    }

    pub(super) const fn kind(&self) -> JobKind {
        match self {
            Self::Ingest(_) => JobKind::IngestRecords,
            Self::Change(request) => request.kind(),
        }
    }

    /// The length of its body as it was sent; a change is kept without one.
    pub(super) const fn bytes(&self) -> u64 {
        match self {
            Self::Ingest(request) => request.bytes,
            Self::Change(_) => 0,
        }
    }
}

/// A bulk write that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IngestRequest {
    pub(super) schema: String,
    format: String,
    compression: String,
    delimiter: u8,
    null_value: Option<String>,
    mode: String,
    on_conflict: Option<Vec<String>>,
    on_error: String,
    errors_max: usize,
    body_bytes_max: Option<u64>,
    /// The length of the body as it was sent.
    bytes: u64,
}

fn word<T: PartialEq>(words: &[(T, &str)], value: &T) -> String {
    let found = words.iter().find(|(known, _)| known == value);
    found.map_or_else(String::new, |(_, word)| (*word).to_owned())
}

fn value<T: Copy>(words: &[(T, &str)], word: &str) -> Result<T, StorageError> {
    let found = words.iter().find(|(_, known)| *known == word);
    let value = found.map(|(value, _)| *value);
    value.ok_or_else(|| StorageError::internal(format!("a job with the unknown word {word}")))
}

impl IngestRequest {
    /// Takes a request apart: what it asks for, and its body of so many bytes.
    pub(crate) fn of(request: &IngestRecords, bytes: u64) -> Self {
        Self {
            schema: request.schema.clone(),
            format: word(&FORMATS, &request.format),
            compression: word(&COMPRESSIONS, &request.compression),
            delimiter: request.csv.delimiter,
            null_value: request.csv.null_value.clone(),
            mode: word(&MODES, &request.mode),
            on_conflict: request.on_conflict.clone(),
            on_error: word(&ON_ERROR, &request.on_error),
            errors_max: request.errors_max,
            body_bytes_max: request.body_bytes_max,
            bytes,
        }
    }

    /// The request again, with its body.
    pub(crate) fn ingest(&self, body: ByteStream) -> Result<IngestRecords, StorageError> {
        Ok(IngestRecords {
            schema: self.schema.clone(),
            format: self.format()?,
            compression: self.compression()?,
            csv: self.csv(),
            mode: value(&MODES, &self.mode)?,
            on_conflict: self.on_conflict.clone(),
            on_error: value(&ON_ERROR, &self.on_error)?,
            errors_max: self.errors_max,
            body_bytes_max: self.body_bytes_max,
            returning: Return::None,
            body,
        })
    }

    pub(crate) fn format(&self) -> Result<InputFormat, StorageError> {
        value(&FORMATS, &self.format)
    }

    pub(crate) fn compression(&self) -> Result<Compression, StorageError> {
        value(&COMPRESSIONS, &self.compression)
    }

    /// How its records are read.
    pub(crate) fn options(&self, limits: &Limits) -> DecodeOptions {
        DecodeOptions {
            csv: self.csv(),
            ..limits.decode_options()
        }
    }

    fn csv(&self) -> CsvOptions {
        CsvOptions {
            delimiter: self.delimiter,
            null_value: self.null_value.clone(),
        }
    }
}
