//! Parquet files.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};

use staffa_domain::DecodedBatch;
use staffa_domain::schema::SchemaSnapshot;

use super::mapping::{Mapping, expanded_max};
use super::pages::{Most, rows_at_once};
use crate::decode::{BatchDecoder, DecodeError, DecodeErrorCode, DecodeOptions};

const NO_FILE: &str = "the body is no Parquet file";
pub(in crate::decode) const DAMAGED: &str = "the Parquet file is damaged";

/// The batches of a Parquet file, read one after the other.
pub struct ParquetBatches {
    reader: ParquetRecordBatchReader,
    mapping: Mapping,
    /// What was read and is not mapped yet.
    rest: Option<RecordBatch>,
    /// What one batch of the file may take, and its pages.
    reading_bytes: usize,
}

impl fmt::Debug for ParquetBatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetBatches")
            .field("mapping", &self.mapping)
            .finish_non_exhaustive()
    }
}

impl ParquetBatches {
    /// Opens a file, or a whole body as `Bytes`.
    pub fn new<R: ChunkReader + 'static>(
        source: R,
        schema: Arc<SchemaSnapshot>,
        options: DecodeOptions,
    ) -> Result<Self, DecodeError> {
        let (builder, reading_bytes) = open_file(source, &options)?;
        let code = DecodeErrorCode::MalformedParquet;
        let mapping = Mapping::new(schema, options, builder.schema(), code)?;
        let reader = builder.build().map_err(|_| malformed(NO_FILE))?;
        Ok(Self {
            reader,
            mapping,
            rest: None,
            reading_bytes,
        })
    }
}

/// Opens a file whose columns may be unpacked, in batches that do not take too much; says how
/// much one of them may take.
pub(in crate::decode) fn open_file<R: ChunkReader + 'static>(
    source: R,
    options: &DecodeOptions,
) -> Result<(ParquetRecordBatchReaderBuilder<Shared<R>>, usize), DecodeError> {
    // What its writer had in memory could ask for other columns than the file has.
    let reading = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load(&source, reading);
    let metadata = metadata.map_err(|_| malformed(NO_FILE))?;
    check_sizes(metadata.metadata(), options.held_bytes_max)?;
    let source = Arc::new(source);
    let most = Most {
        rows: options.batch_rows.max(1),
        bytes: options.held_bytes_max,
        repeated: expanded_max(options),
    };
    let (rows, bytes) = rows_at_once(&source, metadata.metadata(), most)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(Shared(source), metadata);
    Ok((builder.with_batch_size(rows), bytes))
}

/// A source that is read in two places.
pub(in crate::decode) struct Shared<R>(Arc<R>);

impl<R: Length> Length for Shared<R> {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl<R: ChunkReader> ChunkReader for Shared<R> {
    type T = R::T;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.0.get_bytes(start, length)
    }
}

/// Refuses columns that unpack to more than may be held, by what the index says.
fn check_sizes(metadata: &ParquetMetaData, bytes_max: usize) -> Result<(), DecodeError> {
    let columns = metadata
        .row_groups()
        .iter()
        .flat_map(RowGroupMetaData::columns);
    let mut sizes = columns.map(ColumnChunkMetaData::uncompressed_size);
    if sizes.all(|size| usize::try_from(size).is_ok_and(|size| size <= bytes_max)) {
        return Ok(());
    }
    let message = format!("a column of a row group unpacks to more than {bytes_max} bytes");
    Err(DecodeError::new(DecodeErrorCode::TooLarge, message))
}

pub(in crate::decode) fn malformed(why: &str) -> DecodeError {
    DecodeError::new(DecodeErrorCode::MalformedParquet, why)
}

/// The file contradicts itself.
pub(super) fn damaged() -> DecodeError {
    malformed(DAMAGED)
}

impl Iterator for ParquetBatches {
    type Item = Result<DecodedBatch, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let source = match self.rest.take() {
            Some(rest) => rest,
            None => match self.reader.find(|read| !is_empty(read))? {
                Ok(source) => source,
                Err(_) => return Some(Err(damaged())),
            },
        };
        let rows = self.mapping.rows_at_once(&source);
        if rows < source.num_rows() {
            self.rest = Some(source.slice(rows, source.num_rows() - rows));
        }
        Some(self.mapping.map_piece(&source.slice(0, rows)))
    }
}

fn is_empty(read: &Result<RecordBatch, ArrowError>) -> bool {
    read.as_ref().is_ok_and(|batch| batch.num_rows() == 0)
}

/// Appends to a body that must be there as a whole, unless it grows too large.
pub(in crate::decode) fn hold(
    body: &mut Vec<u8>,
    chunk: &[u8],
    bytes_max: usize,
) -> Result<(), DecodeError> {
    if body.len() + chunk.len() > bytes_max {
        let message = format!("the Parquet body is larger than {bytes_max} bytes");
        return Err(DecodeError::new(DecodeErrorCode::TooLarge, message));
    }
    body.extend_from_slice(chunk);
    Ok(())
}

/// Keeps a whole body, then reads it piece by piece as it is taken.
#[derive(Debug)]
pub(in crate::decode) struct ParquetDecoder {
    body: Vec<u8>,
    /// The bytes of the body once it is whole.
    body_bytes: usize,
    schema: Arc<SchemaSnapshot>,
    options: DecodeOptions,
    batches: Option<ParquetBatches>,
    failed: Option<DecodeError>,
}

impl ParquetDecoder {
    pub(in crate::decode) fn new(schema: Arc<SchemaSnapshot>, options: DecodeOptions) -> Self {
        Self {
            body: Vec::new(),
            body_bytes: 0,
            schema,
            options,
            batches: None,
            failed: None,
        }
    }
}

impl BatchDecoder for ParquetDecoder {
    fn push(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        hold(&mut self.body, chunk, self.options.held_bytes_max)
    }

    fn take(&mut self) -> Option<DecodedBatch> {
        let batches = self.batches.as_mut()?;
        // Some of what a file says of itself the reader asserts instead of checking it.
        let next = panic::catch_unwind(AssertUnwindSafe(|| batches.next()));
        let next = next.unwrap_or_else(|_| Some(Err(damaged())));
        match next? {
            Ok(batch) => Some(batch),
            Err(error) => {
                self.batches = None;
                self.failed = Some(error);
                None
            }
        }
    }

    fn held_bytes(&self) -> usize {
        let reading = self.batches.as_ref();
        let reading = reading.map_or(0, |batches| batches.reading_bytes);
        self.body_bytes.max(self.body.capacity()) + reading
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.batches.is_none() {
            self.body_bytes = self.body.len();
            let body = Bytes::from(std::mem::take(&mut self.body));
            let (schema, options) = (Arc::clone(&self.schema), self.options.clone());
            let open = AssertUnwindSafe(|| ParquetBatches::new(body, schema, options));
            let opened = panic::catch_unwind(open);
            self.batches = Some(opened.unwrap_or_else(|_| Err(damaged()))?);
        }
        Ok(())
    }
}
