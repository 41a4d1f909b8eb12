//! Records as a Parquet file, one row group after the other.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::arrow::relaid;
use super::{BatchEncoder, EncodeError, OutputFormat};

/// The most records of a row group.
const GROUP_ROWS: usize = 122_880;
/// A row group is closed once it has this many bytes, so that memory stays bounded.
const GROUP_BYTES: usize = 16 << 20;

/// Writes records as a Parquet file; bytes come whenever a row group is full.
pub(super) struct ParquetEncoder {
    layout: SchemaRef,
    writer: Option<ArrowWriter<Vec<u8>>>,
}

impl fmt::Debug for ParquetEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetEncoder")
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

impl From<ParquetError> for EncodeError {
    fn from(error: ParquetError) -> Self {
        Self::Writer(Box::new(error))
    }
}

impl ParquetEncoder {
    pub(super) fn new(layout: SchemaRef) -> Self {
        Self {
            layout,
            writer: None,
        }
    }

    fn writer(&mut self) -> Result<&mut ArrowWriter<Vec<u8>>, EncodeError> {
        let missing = || EncodeError::Layout("the file was not started".to_owned());
        self.writer.as_mut().ok_or_else(missing)
    }
}

impl BatchEncoder for ParquetEncoder {
    fn content_type(&self) -> &'static str {
        OutputFormat::Parquet.content_type()
    }

    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let layout = Arc::clone(&self.layout);
        let mut writer = ArrowWriter::try_new(Vec::new(), layout, Some(properties))?;
        out.append(writer.inner_mut());
        self.writer = Some(writer);
        Ok(())
    }

    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let batch = relaid(batch, &self.layout)?;
        let writer = self.writer()?;
        writer.write(&batch)?;
        if writer.in_progress_size() >= GROUP_BYTES {
            writer.flush()?;
        }
        out.append(writer.inner_mut());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let writer = self.writer()?;
        writer.finish()?;
        out.append(writer.inner_mut());
        Ok(())
    }
}
