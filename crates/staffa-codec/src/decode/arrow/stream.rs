//! The Arrow IPC stream format, from chunks.

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;

use staffa_domain::DecodedBatch;
use staffa_domain::schema::SchemaSnapshot;

use super::gate::Gate;
use super::malformed;
use super::mapping::Mapping;
use crate::decode::{BatchDecoder, DecodeError, DecodeErrorCode, DecodeOptions};

/// Reads an Arrow IPC stream. What it has received is mapped piece by piece as it is taken.
#[derive(Debug)]
pub(in crate::decode) struct ArrowDecoder {
    gate: Gate,
    stream: StreamDecoder,
    schema: Arc<SchemaSnapshot>,
    options: DecodeOptions,
    mapping: Option<Mapping>,
    received: VecDeque<RecordBatch>,
    /// What is wrong behind what was received: not told before that has been taken, since
    /// something in it may be wrong as well.
    behind: Option<DecodeError>,
    failed: Option<DecodeError>,
}

impl ArrowDecoder {
    pub(in crate::decode) fn new(schema: Arc<SchemaSnapshot>, options: DecodeOptions) -> Self {
        Self {
            gate: Gate::new(options.held_bytes_max),
            stream: StreamDecoder::new(),
            schema,
            options,
            mapping: None,
            received: VecDeque::new(),
            behind: None,
            failed: None,
        }
    }

    fn read(&mut self, message: Vec<u8>) -> Result<(), DecodeError> {
        let mut buffer = Buffer::from_vec(message);
        while !buffer.is_empty() {
            // Some of what a message says of itself the reader asserts instead of checking it.
            let decoded = panic::catch_unwind(AssertUnwindSafe(|| self.stream.decode(&mut buffer)));
            let decoded = decoded.ok().and_then(Result::ok);
            let decoded = decoded.ok_or_else(|| malformed("the body is no Arrow IPC stream"))?;
            if self.stream.schema().is_some() {
                self.mapping()?;
            }
            self.received.extend(decoded);
        }
        Ok(())
    }

    fn mapping(&mut self) -> Result<&mut Mapping, DecodeError> {
        let code = DecodeErrorCode::MalformedArrow;
        let mapping = match self.mapping.take() {
            Some(mapping) => mapping,
            None => {
                let source = self.stream.schema();
                let source = source.ok_or_else(|| malformed("the stream has no schema"))?;
                let schema = Arc::clone(&self.schema);
                Mapping::new(schema, self.options.clone(), &source, code)?
            }
        };
        Ok(self.mapping.insert(mapping))
    }

    fn next_piece(&mut self) -> Result<Option<DecodedBatch>, DecodeError> {
        let most = self.options.batch_rows.max(1);
        while let Some(batch) = self.received.pop_front() {
            let rows = batch.num_rows();
            if rows == 0 {
                continue;
            }
            let len = rows.min(most);
            if rows > len {
                self.received.push_front(batch.slice(len, rows - len));
            }
            return self.mapping()?.map_piece(&batch.slice(0, len)).map(Some);
        }
        self.behind.take().map_or(Ok(None), Err)
    }

    fn read_all(&mut self, mut chunk: &[u8]) -> Result<(), DecodeError> {
        while let Some(message) = self.gate.take(&mut chunk)? {
            self.read(message)?;
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
            Err(error) if !self.received.is_empty() => {
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
                self.received.clear();
                self.failed = Some(error);
                None
            }
        }
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        self.check()?;
        if self.behind.is_some() && !self.received.is_empty() {
            return Ok(());
        }
        self.behind.take().map_or(Ok(()), Err)?;
        let cut = || DecodeError::new(DecodeErrorCode::Truncated, "the stream ends too early");
        if self.gate.is_within() {
            return Err(cut());
        }
        self.stream.finish().map_err(|_| cut())?;
        self.mapping().map(|_| ())
    }
}
