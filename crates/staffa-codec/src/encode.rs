//! Record batches to bytes: JSON records, NDJSON, CSV, Arrow and Parquet.
//!
//! A batch has the record layout of its schema: the four system arrays, then the selected
//! properties in the schema's order.

mod arrow;
mod column;
mod csv;
mod json;
mod parquet;
mod rows;

use std::fmt::Debug;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Schema as ArrowSchema, SchemaRef};

use staffa_domain::record::system;
use staffa_domain::schema::SchemaSnapshot;

pub use json::JsonRecordEncoder;
pub use rows::encode_groups;
#[cfg(test)]
pub(crate) use rows::encode_rows;
pub(crate) use rows::push_rows;

/// What one record looks like in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Shape {
    /// `{"id", "schema_name", "data": {…}, "created_at", "updated_at", "version"}`.
    #[default]
    Record,
    /// The properties alone.
    Data,
}

/// A format that streams records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// One JSON value a line.
    NdJson,
    /// Comma-separated, with a header.
    Csv,
    /// The Arrow IPC streaming format.
    ArrowStream,
    /// Apache Parquet.
    Parquet,
}

impl OutputFormat {
    /// The media type of what is written.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::NdJson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::ArrowStream => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Whether many records are written at once, column by column: whole batches are then worth
    /// more than pieces of them, and each is much work.
    pub const fn writes_groups(self) -> bool {
        matches!(self, Self::ArrowStream | Self::Parquet)
    }
}

/// Why a batch can't be written. A bug, never the client's fault.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The batch does not have the layout that was announced.
    #[error("the batch has another layout than the schema: {0}")]
    Layout(String),
    /// The Arrow or Parquet writer failed.
    #[error("the records can't be written")]
    Writer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<ArrowError> for EncodeError {
    fn from(error: ArrowError) -> Self {
        Self::Writer(Box::new(error))
    }
}

/// Writes a stream of batches: `start` once, `encode` for each, `finish` once. Each appends
/// to `out`, possibly nothing: a format may keep records back until it has enough of them.
pub trait BatchEncoder: Send + Debug {
    /// The media type of what is written.
    fn content_type(&self) -> &'static str;
    /// Writes what comes before all records.
    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError>;
    /// Takes one batch.
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError>;
    /// Writes all that is left and the end.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// Hands on what a writer has written, without a copy where that can be: it may be much.
fn hand_over(written: &mut Vec<u8>, out: &mut Vec<u8>) {
    if out.is_empty() && !written.is_empty() {
        std::mem::swap(out, written);
        // It may have had room.
        *written = Vec::new();
    } else {
        out.append(written);
    }
}

/// The encoder of a format. `select` names the properties that the batches hold, as ascending
/// positions; all when absent. Only NDJSON has a shape: in the others the system fields are
/// columns before the properties.
pub fn encoder(
    format: OutputFormat,
    schema: &Arc<SchemaSnapshot>,
    select: Option<&[usize]>,
    shape: Shape,
) -> Box<dyn BatchEncoder> {
    match format {
        OutputFormat::NdJson => Box::new(JsonRecordEncoder::new(schema, select, shape)),
        OutputFormat::Csv => Box::new(csv::CsvEncoder::new(selected_layout(schema, select))),
        OutputFormat::ArrowStream => Box::new(arrow::ArrowStreamEncoder::new(selected_layout(
            schema, select,
        ))),
        OutputFormat::Parquet => Box::new(parquet::ParquetEncoder::new(selected_layout(
            schema, select,
        ))),
    }
}

/// The Arrow schema of a batch of records with some of its properties.
pub fn selected_layout(schema: &SchemaSnapshot, select: Option<&[usize]>) -> SchemaRef {
    let Some(positions) = select else {
        return Arc::clone(schema.record_layout());
    };
    let layout = schema.record_layout();
    let indexes = (0..system::COUNT).chain(positions.iter().map(|at| system::COUNT + at));
    let fields: Vec<_> = indexes
        .map(|index| Arc::clone(&layout.fields()[index]))
        .collect();
    Arc::new(ArrowSchema::new(fields))
}

#[cfg(test)]
mod tests;
