//! Records as an Arrow IPC stream.

use std::fmt;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::SchemaRef;
use arrow_select::coalesce::BatchCoalescer;

use super::{BatchEncoder, EncodeError, OutputFormat, hand_over};

/// How many records a message has that is put together from small batches, which cost a reader
/// more.
const MESSAGE_ROWS: usize = 16_384;
/// A message is closed once it has this many bytes, so that memory stays bounded.
const MESSAGE_BYTES: usize = 2 << 20;
/// A batch of so many records is a message as it is: putting it together costs a copy.
const WHOLE_ROWS: usize = 4_096;
/// So is one of so many bytes, however few its records.
const WHOLE_BYTES: usize = 1 << 20;
/// What a message takes beside the values, about: for each column, and at all.
const HEAD_BYTES: usize = 256;

/// Writes records as an Arrow IPC stream of batches that are not small.
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
        hand_over(writer.get_mut(), out);
        Ok(())
    }

    fn write_whole(
        &mut self,
        batch: &RecordBatch,
        bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.pending.finish_buffered_batch()?;
        self.pending_bytes = 0;
        self.write_pending(out)?;
        if let Some(writer) = &mut self.writer {
            let heads = HEAD_BYTES * (batch.num_columns() + 1);
            writer.get_mut().reserve_exact(bytes + heads);
            writer.write(batch)?;
        }
        self.write_pending(out)
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
        let batch = relaid(batch, &self.layout)?;
        let bytes = bytes_of(&batch)?;
        if batch.num_rows() >= WHOLE_ROWS || bytes >= WHOLE_BYTES {
            return self.write_whole(&batch, bytes, out);
        }
        self.pending_bytes += bytes;
        self.pending.push_batch(batch)?;
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
            hand_over(writer.get_mut(), out);
        }
        Ok(())
    }
}
