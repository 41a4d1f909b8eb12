//! The Arrow IPC stream format, from chunks.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;

use staffa_domain::DecodedBatch;
use staffa_domain::schema::SchemaSnapshot;

use super::mapping::Mapping;
use crate::decode::{BatchDecoder, DecodeError, DecodeErrorCode, DecodeOptions};

/// Reads an Arrow IPC stream.
#[derive(Debug)]
pub(in crate::decode) struct ArrowDecoder {
    stream: StreamDecoder,
    schema: Arc<SchemaSnapshot>,
    options: DecodeOptions,
    mapping: Option<Mapping>,
    ready: VecDeque<DecodedBatch>,
}

impl ArrowDecoder {
    pub(in crate::decode) fn new(schema: Arc<SchemaSnapshot>, options: DecodeOptions) -> Self {
        Self {
            stream: StreamDecoder::new(),
            schema,
            options,
            mapping: None,
            ready: VecDeque::new(),
        }
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
}

fn malformed(why: &str) -> DecodeError {
    DecodeError::new(DecodeErrorCode::MalformedArrow, why)
}

impl BatchDecoder for ArrowDecoder {
    fn push(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        let mut buffer = Buffer::from(chunk);
        loop {
            let decoded = self.stream.decode(&mut buffer);
            let decoded = decoded.map_err(|_| malformed("the body is no Arrow IPC stream"))?;
            if self.stream.schema().is_some() {
                self.mapping()?;
            }
            let Some(batch) = decoded else {
                return Ok(());
            };
            let mut ready = std::mem::take(&mut self.ready);
            let outcome = self
                .mapping()?
                .map(&batch, &mut |batch| ready.push_back(batch));
            self.ready = ready;
            outcome?;
        }
    }

    fn take(&mut self) -> Option<DecodedBatch> {
        self.ready.pop_front()
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        let cut = |_| DecodeError::new(DecodeErrorCode::Truncated, "the stream ends too early");
        self.stream.finish().map_err(cut)?;
        self.mapping().map(|_| ())
    }
}
