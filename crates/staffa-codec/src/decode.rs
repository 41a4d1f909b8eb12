//! Request bodies to decoded batches: streaming, column by column, with every error found.
//!
//! A body is pushed in chunks of any size; batches of records come out as they fill. What is
//! wrong with one record is a [`RecordError`](staffa_domain::RecordError) in its batch; what
//! makes the rest of the body unreadable is a [`DecodeError`].

mod array;
mod arrow;
mod column;
mod compress;
mod csv;
mod cursor;
mod envelope;
mod error;
mod frame;
mod merge;
mod ndjson;
mod raw;
mod record;
mod rows;
mod sample;
mod transaction;
mod value;
mod walk;
mod width;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;

use staffa_domain::DecodedBatch;
use staffa_domain::schema::SchemaSnapshot;

pub use arrow::ParquetBatches;
pub use compress::{Compression, Decompressor};
pub use envelope::{EnvelopeDecoder, Shape};
pub use error::{DecodeError, DecodeErrorCode};
pub use merge::MergePatch;
pub use raw::RawRecords;
pub use sample::{SampleOptions, Sampler};
pub use transaction::{
    Step, TransactionProblem, TransactionReader, Unresolved, Verb, find_member, read_text,
    resolve_references,
};
pub use width::piece_bytes;

/// The formats in which records may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputFormat {
    /// One JSON array of objects.
    Json,
    /// One JSON object a line.
    NdJson,
    /// Comma-separated values with a header record (RFC 4180).
    Csv,
    /// The Arrow IPC stream format.
    ArrowStream,
    /// A Parquet file. [`decoder`] buffers it whole, since its index is at its end; read a
    /// large one from a file with [`ParquetBatches`].
    Parquet,
}

/// How CSV is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// The byte between cells.
    pub delimiter: u8,
    /// A cell with exactly this text, unquoted, is null, as an empty unquoted one always is.
    pub null_value: Option<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: b',',
            null_value: None,
        }
    }
}

/// How large batches get and what one record may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeOptions {
    /// The most records of one batch.
    pub batch_rows: usize,
    /// A batch ends after the record with which its input reaches this many bytes.
    pub batch_bytes: usize,
    /// The most bytes of one record.
    pub record_bytes_max: usize,
    /// The most bytes that are held before any of them can be read: one message of Arrow IPC, a
    /// whole body of Parquet, and one column of a row group of it once unpacked, or one page.
    pub held_bytes_max: usize,
    /// How deep a record may nest, itself counted.
    pub depth_max: usize,
    /// Whether records may be parts: a property that is not there has no default then, and the
    /// batches say which ones each record gives.
    pub parts: bool,
    /// How CSV is written.
    pub csv: CsvOptions,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            batch_rows: 8_192,
            batch_bytes: 4 << 20,
            record_bytes_max: 16 << 20,
            held_bytes_max: 256 << 20,
            depth_max: 64,
            parts: false,
            csv: CsvOptions::default(),
        }
    }
}

/// Reads one body, chunk by chunk. However the body is cut, the batches are the same.
pub trait BatchDecoder: Debug + Send {
    /// Reads all of a chunk. After an error the decoder takes no more, but batches completed
    /// before it may still be taken.
    fn push(&mut self, chunk: &[u8]) -> Result<(), DecodeError>;

    /// The next completed batch.
    fn take(&mut self) -> Option<DecodedBatch>;

    /// How many bytes it holds beside its batches: what it was given and cannot read yet, and
    /// what it needs to read that.
    fn held_bytes(&self) -> usize;

    /// Says that the body is over; [`BatchDecoder::take`] then gives the rest. Asked again
    /// after that, it says whether all of it could be given.
    fn finish(&mut self) -> Result<(), DecodeError>;
}

/// Makes the decoder for a body of records of one schema.
pub fn decoder(
    format: InputFormat,
    schema: Arc<SchemaSnapshot>,
    options: DecodeOptions,
) -> Box<dyn BatchDecoder> {
    match format {
        InputFormat::Json => Box::new(array::ArrayDecoder::new(schema, options)),
        InputFormat::NdJson => Box::new(ndjson::NdJsonDecoder::new(schema, options)),
        InputFormat::Csv => Box::new(csv::CsvDecoder::new(schema, options)),
        InputFormat::ArrowStream => Box::new(arrow::ArrowDecoder::new(schema, options)),
        InputFormat::Parquet => Box::new(arrow::ParquetDecoder::new(schema, options)),
    }
}

/// Reads a body that is one JSON object: a batch of one record.
pub fn decode_object(
    schema: Arc<SchemaSnapshot>,
    body: &[u8],
) -> Result<DecodedBatch, DecodeError> {
    let mut decoder = array::ArrayDecoder::single(schema, options_of_one());
    decoder.push(body)?;
    decoder.finish()?;
    let batch = decoder.take();
    batch.ok_or_else(|| DecodeError::new(DecodeErrorCode::Truncated, "the body is empty"))
}

/// How a record is read that comes alone: its arrays have room for nothing else.
fn options_of_one() -> DecodeOptions {
    DecodeOptions {
        batch_rows: 1,
        record_bytes_max: usize::MAX,
        ..DecodeOptions::default()
    }
}
