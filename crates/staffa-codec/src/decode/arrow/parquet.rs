//! Parquet files.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::reader::ChunkReader;

use staffa_domain::DecodedBatch;
use staffa_domain::schema::SchemaSnapshot;

use super::mapping::Mapping;
use crate::decode::{BatchDecoder, DecodeError, DecodeErrorCode, DecodeOptions};

/// The batches of a Parquet file, read one after the other.
pub struct ParquetBatches {
    reader: ParquetRecordBatchReader,
    mapping: Mapping,
    ready: VecDeque<DecodedBatch>,
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
        let bad = |_| malformed("the body is no Parquet file");
        let builder = ParquetRecordBatchReaderBuilder::try_new(source).map_err(bad)?;
        let rows = options.batch_rows.max(1);
        let code = DecodeErrorCode::MalformedParquet;
        let mapping = Mapping::new(schema, options, builder.schema(), code)?;
        let reader = builder.with_batch_size(rows).build().map_err(bad)?;
        Ok(Self {
            reader,
            mapping,
            ready: VecDeque::new(),
        })
    }
}

fn malformed(why: &str) -> DecodeError {
    DecodeError::new(DecodeErrorCode::MalformedParquet, why)
}

impl Iterator for ParquetBatches {
    type Item = Result<DecodedBatch, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Some(Ok(batch));
            }
            let Ok(source) = self.reader.next()? else {
                return Some(Err(malformed("the Parquet file is damaged")));
            };
            let ready = &mut self.ready;
            if let Err(error) = self
                .mapping
                .map(&source, &mut |batch| ready.push_back(batch))
            {
                return Some(Err(error));
            }
        }
    }
}

/// Keeps a whole body, then reads it.
#[derive(Debug)]
pub(in crate::decode) struct ParquetDecoder {
    body: Vec<u8>,
    schema: Arc<SchemaSnapshot>,
    options: DecodeOptions,
    ready: VecDeque<DecodedBatch>,
}

impl ParquetDecoder {
    pub(in crate::decode) fn new(schema: Arc<SchemaSnapshot>, options: DecodeOptions) -> Self {
        Self {
            body: Vec::new(),
            schema,
            options,
            ready: VecDeque::new(),
        }
    }
}

impl BatchDecoder for ParquetDecoder {
    fn push(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        let most = self.options.record_bytes_max;
        if self.body.len() + chunk.len() > most {
            let message = format!("the Parquet body is larger than {most} bytes");
            return Err(DecodeError::new(DecodeErrorCode::TooLarge, message));
        }
        self.body.extend_from_slice(chunk);
        Ok(())
    }

    fn take(&mut self) -> Option<DecodedBatch> {
        self.ready.pop_front()
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        let body = Bytes::from(std::mem::take(&mut self.body));
        let schema = Arc::clone(&self.schema);
        for batch in ParquetBatches::new(body, schema, self.options.clone())? {
            self.ready.push_back(batch?);
        }
        Ok(())
    }
}
