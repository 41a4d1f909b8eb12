//! The Arrow IPC stream format, from chunks.

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::SchemaRef;

use staffa_domain::DecodedBatch;
use staffa_domain::schema::SchemaSnapshot;

use super::gate::Gate;
use super::malformed;
use super::mapping::Mapping;
use crate::decode::{BatchDecoder, DecodeError, DecodeErrorCode, DecodeOptions};

/// The record batches of an Arrow IPC stream, as they come.
#[derive(Debug)]
pub(in crate::decode) struct StreamBatches {
    gate: Gate,
    stream: StreamDecoder,
    received: VecDeque<RecordBatch>,
    /// The bytes of the messages in which they came.
    received_bytes: usize,
}

impl StreamBatches {
    pub(in crate::decode) fn new(held_bytes_max: usize) -> Self {
        Self {
            gate: Gate::new(held_bytes_max),
            stream: StreamDecoder::new(),
            received: VecDeque::new(),
            received_bytes: 0,
        }
    }

    /// The bytes of the message that is being collected, of those whose records were not taken,
    /// and of all dictionaries.
    pub(in crate::decode) fn held_bytes(&self) -> usize {
        let received = if self.is_empty() {
            0
        } else {
            self.received_bytes
        };
        self.gate.held_bytes() + received
    }

    /// Reads the next message that is whole in the chunk, and off it; false where none is.
    pub(in crate::decode) fn read(&mut self, chunk: &mut &[u8]) -> Result<bool, DecodeError> {
        let Some(message) = self.gate.take(chunk)? else {
            return Ok(false);
        };
        if self.is_empty() {
            self.received_bytes = 0;
        }
        self.received_bytes += message.len();
        let mut buffer = Buffer::from_vec(message);
        while !buffer.is_empty() {
            // Some of what a message says of itself the reader asserts instead of checking it.
            let decoded = panic::catch_unwind(AssertUnwindSafe(|| self.stream.decode(&mut buffer)));
            let decoded = decoded.ok().and_then(Result::ok);
            let decoded = decoded.ok_or_else(|| malformed("the body is no Arrow IPC stream"))?;
            self.received.extend(decoded);
        }
        Ok(true)
    }

    /// The stream's schema, once it was read.
    pub(in crate::decode) fn schema(&self) -> Option<SchemaRef> {
        self.stream.schema()
    }

    /// The next records, at most so many.
    pub(in crate::decode) fn next(&mut self, rows_max: usize) -> Option<RecordBatch> {
        loop {
            let batch = self.received.pop_front()?;
            let rows = batch.num_rows();
            let len = rows.min(rows_max);
            if rows > len {
                self.received.push_front(batch.slice(len, rows - len));
            }
            if len > 0 {
                return Some(batch.slice(0, len));
            }
        }
    }

    /// Puts records back that are to come next.
    fn put_back(&mut self, batch: RecordBatch) {
        self.received.push_front(batch);
    }

    /// Whether nothing that was received is left.
    fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// Forgets what was received.
    fn clear(&mut self) {
        self.received.clear();
    }

    /// Says that the body is over.
    pub(in crate::decode) fn finish(&mut self) -> Result<(), DecodeError> {
        let cut = || DecodeError::new(DecodeErrorCode::Truncated, "the stream ends too early");
        if self.gate.is_within() {
            return Err(cut());
        }
        self.stream.finish().map_err(|_| cut())?;
        match self.schema() {
            Some(_) => Ok(()),
            None => Err(malformed("the stream has no schema")),
        }
    }
}

/// Reads an Arrow IPC stream. What it has received is mapped piece by piece as it is taken.
#[derive(Debug)]
pub(in crate::decode) struct ArrowDecoder {
    batches: StreamBatches,
    schema: Arc<SchemaSnapshot>,
    options: DecodeOptions,
    mapping: Option<Mapping>,
    /// What is wrong behind what was received: not told before that has been taken, since
    /// something in it may be wrong as well.
    behind: Option<DecodeError>,
    failed: Option<DecodeError>,
}

impl ArrowDecoder {
    pub(in crate::decode) fn new(schema: Arc<SchemaSnapshot>, options: DecodeOptions) -> Self {
        Self {
            batches: StreamBatches::new(options.held_bytes_max),
            schema,
            options,
            mapping: None,
            behind: None,
            failed: None,
        }
    }

    fn mapping(&mut self) -> Result<&mut Mapping, DecodeError> {
        let code = DecodeErrorCode::MalformedArrow;
        let mapping = match self.mapping.take() {
            Some(mapping) => mapping,
            None => {
                let source = self.batches.schema();
                let source = source.ok_or_else(|| malformed("the stream has no schema"))?;
                let schema = Arc::clone(&self.schema);
                Mapping::new(schema, self.options.clone(), &source, code)?
            }
        };
        Ok(self.mapping.insert(mapping))
    }

    fn next_piece(&mut self) -> Result<Option<DecodedBatch>, DecodeError> {
        let Some(batch) = self.batches.next(self.options.batch_rows.max(1)) else {
            return self.behind.take().map_or(Ok(None), Err);
        };
        let rows = self.mapping()?.rows_at_once(&batch);
        if rows < batch.num_rows() {
            let rest = batch.slice(rows, batch.num_rows() - rows);
            self.batches.put_back(rest);
        }
        let piece = batch.slice(0, rows);
        self.mapping()?.map_piece(&piece).map(Some)
    }

    fn read_all(&mut self, mut chunk: &[u8]) -> Result<(), DecodeError> {
        while self.batches.read(&mut chunk)? {
            if self.batches.schema().is_some() {
                self.mapping()?;
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), DecodeError> {
        self.failed.take().map_or(Ok(()), Err)
    }
}

impl BatchDecoder for ArrowDecoder {
    fn push(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        self.check()?;
        if self.behind.is_some() {
            return Ok(());
        }
        match self.read_all(chunk) {
            Err(error) if !self.batches.is_empty() => {
                self.behind = Some(error);
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn take(&mut self) -> Option<DecodedBatch> {
        // As in reading, some is asserted where a batch is cast.
        let next = panic::catch_unwind(AssertUnwindSafe(|| self.next_piece()));
        match next.unwrap_or_else(|_| Err(malformed("the body is no Arrow IPC stream"))) {
            Ok(batch) => batch,
            Err(error) => {
                self.batches.clear();
                self.failed = Some(error);
                None
            }
        }
    }

    fn held_bytes(&self) -> usize {
        self.batches.held_bytes()
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        self.check()?;
        if self.behind.is_some() && !self.batches.is_empty() {
            return Ok(());
        }
        self.behind.take().map_or(Ok(()), Err)?;
        self.batches.finish()?;
        self.mapping().map(|_| ())
    }
}
