//! Records as a Parquet file, one row group after the other, its columns on several cores.

use std::fmt;
use std::mem;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use staffa_domain::record::system;

use super::arrow::relaid;
use super::{BatchEncoder, EncodeError, OutputFormat, hand_over};

mod crew;

use crew::Column;

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
    writer: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    /// The columns of the row group that is being filled; empty before its first record.
    columns: Vec<Column>,
    rows: usize,
    /// The most records of this row group.
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
            let rows = (batch.num_rows() - from).min(file.rows_max - file.rows);
            file.write(&batch.slice(from, rows))?;
            from += rows;
            if file.is_full() {
                file.close_group()?;
            }
        }
        file.hand_out(out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let file = self.file()?;
        file.close_group()?;
        file.writer.finish()?;
        file.hand_out(out)
    }
}

impl File {
    fn new(layout: &SchemaRef) -> Result<Self, EncodeError> {
        let whole = ArrowWriter::try_new(Vec::new(), Arc::clone(layout), Some(properties()))?;
        let (writer, factory) = whole.into_serialized_writer()?;
        Ok(Self {
            writer,
            factory,
            columns: Vec::new(),
            rows: 0,
            rows_max: FIRST_GROUP_ROWS,
        })
    }

    /// Adds records to the row group, which has room for them.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        if self.columns.is_empty() {
            let group = self.writer.flushed_row_groups().len();
            let writers = self.factory.create_column_writers(group)?;
            self.columns = writers.into_iter().map(Column::new).collect();
        }
        crew::write(&mut self.columns, batch)?;
        self.rows += batch.num_rows();
        Ok(())
    }

    fn is_full(&self) -> bool {
        let bytes: usize = self.columns.iter().map(Column::bytes).sum();
        self.rows >= self.rows_max || bytes >= GROUP_BYTES
    }

    /// Closes the row group, if it has any record, and begins the next.
    fn close_group(&mut self) -> Result<(), EncodeError> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let chunks = crew::close(mem::take(&mut self.columns))?;
        let bytes = chunks.iter().map(|chunk| chunk.close().bytes_written);
        let bytes = usize::try_from(bytes.sum::<u64>()).unwrap_or(0);
        // In one go: what grows by doubling has twice the bytes while it moves.
        self.writer.inner_mut().reserve_exact(bytes);
        let mut group = self.writer.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.rows = 0;
        self.rows_max = (self.rows_max * GROUP_GROWTH).min(GROUP_ROWS);
        Ok(())
    }

    /// Hands on all that is written.
    fn hand_out(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.writer.flush().map_err(ParquetError::from)?;
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
