//! Records as an Arrow IPC stream.

use std::fmt;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::SchemaRef;
use arrow_select::coalesce::BatchCoalescer;

use super::{BatchEncoder, EncodeError, OutputFormat};

/// How many records a message holds, but for the last: small batches cost a reader more.
const MESSAGE_ROWS: usize = 16_384;
/// A message is closed once it has this many bytes, so that memory stays bounded.
const MESSAGE_BYTES: usize = 8 << 20;

/// Writes records as an Arrow IPC stream of even batches.
pub(super) struct ArrowStreamEncoder {
    layout: SchemaRef,
    pending: BatchCoalescer,
    pending_bytes: usize,
    writer: Option<StreamWriter<Vec<u8>>>,
}

impl fmt::Debug for ArrowStreamEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrowStreamEncoder")
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

impl ArrowStreamEncoder {
    pub(super) fn new(layout: SchemaRef) -> Self {
        Self {
            pending: BatchCoalescer::new(Arc::clone(&layout), MESSAGE_ROWS),
            layout,
            pending_bytes: 0,
            writer: None,
        }
    }

    fn write_pending(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let Some(writer) = &mut self.writer else {
            return Err(EncodeError::Layout("the stream was not started".to_owned()));
        };
        while let Some(batch) = self.pending.next_completed_batch() {
            writer.write(&batch)?;
        }
        out.append(writer.get_mut());
        Ok(())
    }
}

/// What the rows of a batch take, without what else lies in its buffers.
fn bytes_of(batch: &RecordBatch) -> Result<usize, EncodeError> {
    let columns = batch.columns().iter();
    let sizes = columns.map(|column| column.to_data().get_slice_memory_size());
    Ok(sizes.sum::<Result<usize, _>>()?)
}

/// The batch under the announced layout: engines may leave metadata out of theirs.
pub(super) fn relaid(batch: &RecordBatch, layout: &SchemaRef) -> Result<RecordBatch, EncodeError> {
    RecordBatch::try_new(Arc::clone(layout), batch.columns().to_vec())
        .map_err(|error| EncodeError::Layout(error.to_string()))
}

impl BatchEncoder for ArrowStreamEncoder {
    fn content_type(&self) -> &'static str {
        OutputFormat::ArrowStream.content_type()
    }

    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.writer = Some(StreamWriter::try_new(Vec::new(), &self.layout)?);
        self.write_pending(out)
    }

    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.pending_bytes += bytes_of(batch)?;
        self.pending.push_batch(relaid(batch, &self.layout)?)?;
        if self.pending_bytes >= MESSAGE_BYTES {
            self.pending.finish_buffered_batch()?;
        }
        if self.pending.has_completed_batch() {
            self.pending_bytes = 0;
        }
        self.write_pending(out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.pending.finish_buffered_batch()?;
        self.write_pending(out)?;
        if let Some(writer) = &mut self.writer {
            writer.finish()?;
            out.append(writer.get_mut());
        }
        Ok(())
    }
}
