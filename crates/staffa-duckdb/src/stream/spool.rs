//! The rest of a stream whose reader is slow, in a file: so that its snapshot ends when the engine
//! is through with it, and not when the reader is.

use std::fs::{DirBuilder, File};
use std::io::{BufReader, BufWriter, Seek};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, SchemaRef};
use staffa_domain::StorageError;

/// Record batches in a file that has no name and is gone with it.
pub(super) struct Spool {
    writer: StreamWriter<BufWriter<File>>,
    bytes_max: u64,
}

impl Spool {
    /// An empty one in a folder, which is made where it is missing.
    pub(super) fn create(
        folder: &Path,
        layout: &SchemaRef,
        bytes_max: u64,
    ) -> Result<Self, StorageError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(StorageError::internal)?;
        let file = tempfile::tempfile_in(folder).map_err(StorageError::internal)?;
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::LZ4_FRAME))
            .map_err(StorageError::internal)?;
        let writer = BufWriter::new(file);
        let writer = StreamWriter::try_new_with_options(writer, layout, options);
        Ok(Self {
            writer: writer.map_err(StorageError::internal)?,
            bytes_max,
        })
    }

    /// Adds a batch, unless the file is as large as it may be or the disk is full.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<(), StorageError> {
        self.writer.write(batch).map_err(full)?;
        let file = self.writer.get_ref().get_ref();
        let bytes = file.metadata().map_err(StorageError::internal)?.len();
        if bytes > self.bytes_max {
            return Err(StorageError::StorageFull);
        }
        Ok(())
    }

    /// All batches, in the order in which they were added.
    pub(super) fn read(mut self) -> Result<StreamReader<BufReader<File>>, StorageError> {
        self.writer.finish().map_err(full)?;
        let writer = self.writer.into_inner().map_err(full)?;
        let mut file = writer
            .into_inner()
            .map_err(|error| full(error.into_error().into()))?;
        file.rewind().map_err(StorageError::internal)?;
        StreamReader::try_new(BufReader::new(file), None).map_err(StorageError::internal)
    }
}

fn full(error: ArrowError) -> StorageError {
    match &error {
        ArrowError::IoError(_, source) if source.kind() == std::io::ErrorKind::StorageFull => {
            StorageError::StorageFull
        }
        _ => StorageError::internal(error),
    }
}
