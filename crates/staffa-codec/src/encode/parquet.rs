//! Records as a Parquet file, one row group after the other.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use staffa_domain::record::system;

use super::arrow::relaid;
use super::{BatchEncoder, EncodeError, OutputFormat, hand_over};

/// The records of the first row group: few, so that a reader has something soon.
const FIRST_GROUP_ROWS: usize = 4_096;
/// Each row group may have so many times the records of the one before.
const GROUP_GROWTH: usize = 4;
/// The most records of a row group.
const GROUP_ROWS: usize = 65_536;
/// A row group is closed once it has this many bytes, so that memory stays bounded.
const GROUP_BYTES: usize = 4 << 20;
/// A column whose different values take more than this has no dictionary: looking each of them
/// up costs more than it saves.
const DICTIONARY_BYTES: usize = 64 << 10;
/// A page is packed once it has this many bytes: until then each column holds one unpacked.
const PAGE_BYTES: usize = 128 << 10;

/// Writes records as a Parquet file; bytes come whenever a row group is full.
pub(super) struct ParquetEncoder {
    layout: SchemaRef,
    file: Option<File>,
}

struct File {
    writer: ArrowWriter<Vec<u8>>,
    /// The most records of the row group that is being filled.
    rows_max: usize,
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
        Self { layout, file: None }
    }

    fn file(&mut self) -> Result<&mut File, EncodeError> {
        let missing = || EncodeError::Layout("the file was not started".to_owned());
        self.file.as_mut().ok_or_else(missing)
    }
}

impl BatchEncoder for ParquetEncoder {
    fn content_type(&self) -> &'static str {
        OutputFormat::Parquet.content_type()
    }

    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut file = File::new(&self.layout)?;
        file.hand_out(out)?;
        self.file = Some(file);
        Ok(())
    }

    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let batch = relaid(batch, &self.layout)?;
        let file = self.file()?;
        let mut from = 0;
        while from < batch.num_rows() {
            let rows = (batch.num_rows() - from).min(file.room());
            file.write(&batch.slice(from, rows))?;
            from += rows;
        }
        file.hand_out(out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let file = self.file()?;
        file.writer.finish()?;
        file.hand_out(out)
    }
}

impl File {
    fn new(layout: &SchemaRef) -> Result<Self, EncodeError> {
        Ok(Self {
            writer: ArrowWriter::try_new(Vec::new(), Arc::clone(layout), Some(properties()))?,
            rows_max: FIRST_GROUP_ROWS,
        })
    }

    /// For how many records more the row group has room: at least for one.
    fn room(&self) -> usize {
        self.rows_max - self.writer.in_progress_rows()
    }

    /// Adds records to the row group, which has room for them, and closes it once it is full.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        self.writer.write(batch)?;
        if self.room() == 0 || self.writer.in_progress_size() >= GROUP_BYTES {
            self.writer.flush()?;
            self.rows_max = (self.rows_max * GROUP_GROWTH).min(GROUP_ROWS);
        }
        Ok(())
    }

    /// Hands on all that is written.
    fn hand_out(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.writer.sync().map_err(ParquetError::from)?;
        hand_over(self.writer.inner_mut(), out);
        Ok(())
    }
}

/// Snappy, as most writers of Parquet: a stream is rather written fast than small, and a client
/// that wants it smaller can ask for it packed.
fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_data_page_size_limit(PAGE_BYTES)
        // No id is there twice.
        .set_column_dictionary_enabled(ColumnPath::from(system::NAMES[system::ID]), false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(None)
        .build()
}
