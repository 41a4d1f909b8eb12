//! Cuts an Arrow IPC stream into messages, and stops those whose reading has no bounds: the
//! reader behind it takes what a message says of itself for true.

use arrow_ipc::{Message, RecordBatch, root_as_message};

use super::malformed;
use crate::decode::{DecodeError, DecodeErrorCode};

/// The most bytes of what describes one message.
const HEAD_MAX: usize = 16 << 20;
const CONTINUATION: [u8; 4] = [0xFF; 4];

/// Collects one message after the other.
#[derive(Debug)]
pub(super) struct Gate {
    message: Vec<u8>,
    /// How long the message is, once that is known.
    len: Option<usize>,
    /// The most bytes of one message, and of all dictionaries.
    bytes_max: usize,
    dictionary_bytes: usize,
}

impl Gate {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self {
            message: Vec::new(),
            len: None,
            bytes_max,
            dictionary_bytes: 0,
        }
    }

    /// The bytes of the message that is being collected, and of all dictionaries before it.
    pub(super) const fn held_bytes(&self) -> usize {
        self.message.capacity() + self.dictionary_bytes
    }

    /// Whether a message has begun and not ended.
    pub(super) fn is_within(&self) -> bool {
        !self.message.is_empty()
    }

    /// Reads on in a chunk, and off it; answers a message once it is whole.
    pub(super) fn take(&mut self, chunk: &mut &[u8]) -> Result<Option<Vec<u8>>, DecodeError> {
        loop {
            let wanted = match self.len {
                Some(len) => len,
                None => self.look()?,
            };
            if self.len.is_some() && self.message.len() == wanted {
                self.len = None;
                return Ok(Some(std::mem::take(&mut self.message)));
            }
            if chunk.is_empty() {
                return Ok(None);
            }
            let (now, later) = chunk.split_at(chunk.len().min(wanted - self.message.len()));
            self.message.extend_from_slice(now);
            *chunk = later;
        }
    }

    /// Up to which length the message must be read to learn more of it; learns what it can.
    fn look(&mut self) -> Result<usize, DecodeError> {
        let size_at = if self.message.starts_with(&CONTINUATION) {
            4
        } else {
            0
        };
        let head_at = size_at + 4;
        let Some(size) = self.message.get(size_at..head_at) else {
            return Ok(head_at);
        };
        let size = size.try_into().map_or(0, u32::from_le_bytes) as usize;
        if size == 0 {
            self.len = Some(head_at);
            return Ok(head_at);
        }
        if size > HEAD_MAX {
            return Err(malformed("a message describes itself at too great length"));
        }
        let body_at = head_at + size;
        let Some(head) = self.message.get(head_at..body_at) else {
            return Ok(body_at);
        };
        let head = root_as_message(head);
        let head = head.map_err(|_| malformed("the body is no Arrow IPC stream"))?;
        let body = Self::check(&head)?;
        self.dictionary_bytes += match head.header_as_dictionary_batch() {
            Some(_) => body,
            None => 0,
        };
        if body > self.bytes_max || self.dictionary_bytes > self.bytes_max {
            return Err(self.too_large());
        }
        self.len = Some(body_at + body);
        Ok(body_at + body)
    }

    /// Answers how long the body of a message is that may be read.
    fn check(message: &Message<'_>) -> Result<usize, DecodeError> {
        let body = usize::try_from(message.bodyLength());
        let body = body.map_err(|_| malformed("a message has a length below zero"))?;
        let dictionary = message.header_as_dictionary_batch();
        let batch = message
            .header_as_record_batch()
            .or_else(|| dictionary.and_then(|dictionary| dictionary.data()));
        match batch {
            Some(batch) => check_batch(&batch, body).map(|()| body),
            None => Ok(body),
        }
    }

    fn too_large(&self) -> DecodeError {
        let message = format!(
            "a record batch takes more than {} bytes; send smaller ones",
            self.bytes_max
        );
        DecodeError::new(DecodeErrorCode::TooLarge, message)
    }
}

fn check_batch(batch: &RecordBatch<'_>, body: usize) -> Result<(), DecodeError> {
    if batch.compression().is_some() {
        let why = "a record batch is compressed; compress the whole body by gzip or zstd instead";
        return Err(malformed(why));
    }
    // Every record takes at least one bit, or a few bytes could stand for any number of them.
    let rows = usize::try_from(batch.length()).unwrap_or(usize::MAX);
    if rows > body.saturating_mul(8) {
        return Err(malformed("a record batch has more records than bits"));
    }
    // Nor may what lies within a record be more than there are bits for it.
    let nodes = batch.nodes().into_iter().flatten();
    let most = i64::try_from(body.saturating_mul(8)).unwrap_or(i64::MAX);
    if nodes
        .map(arrow_ipc::FieldNode::length)
        .any(|len| !(0..=most).contains(&len))
    {
        return Err(malformed("a record batch has more values than bits"));
    }
    for buffer in batch.buffers().into_iter().flatten() {
        // The format wants every buffer to begin at a multiple of eight.
        if buffer.offset() % 8 != 0 {
            return Err(malformed("a record batch has a buffer that is not aligned"));
        }
        let ends = usize::try_from(buffer.offset()).ok();
        let len = usize::try_from(buffer.length()).ok();
        let end = ends
            .zip(len)
            .and_then(|(start, len)| start.checked_add(len));
        if end.is_none_or(|end| end > body) {
            return Err(malformed("a record batch reaches beyond its message"));
        }
    }
    Ok(())
}
