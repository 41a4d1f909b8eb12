//! Records line by line: a bad line costs that line alone.

use std::sync::Arc;

use staffa_domain::DecodedBatch;
use staffa_domain::schema::SchemaSnapshot;

use super::array::valid_prefix;
use super::cursor::{Cursor, Fault};
use super::record::{JsonRecords, RecordReader};
use super::{BatchDecoder, DecodeError, DecodeErrorCode, DecodeOptions};

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads newline-delimited JSON. Lines are read in the chunk in which they arrive; only one
/// that is cut by a chunk's end is copied.
#[derive(Debug)]
pub(super) struct NdJsonDecoder<R = RecordReader> {
    pub(super) reader: R,
    tail: Vec<u8>,
    /// The number of the line that comes next, from one.
    line: u64,
}

impl NdJsonDecoder {
    pub(super) fn new(schema: Arc<SchemaSnapshot>, options: DecodeOptions) -> Self {
        Self::over(RecordReader::new(schema, options, true))
    }
}

impl<R: JsonRecords> NdJsonDecoder<R> {
    pub(super) const fn over(reader: R) -> Self {
        Self {
            reader,
            tail: Vec::new(),
            line: 1,
        }
    }

    /// Reads all of a chunk.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        let mut rest = chunk;
        if !self.tail.is_empty() {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.check_size(self.tail.len() + rest.len())?;
                self.tail.extend_from_slice(rest);
                return Ok(());
            };
            self.check_size(self.tail.len() + end)?;
            self.tail.extend_from_slice(&rest[..end]);
            self.read_tail()?;
            rest = &rest[end + 1..];
        }
        let whole = memchr::memrchr(b'\n', rest).map_or(0, |last| last + 1);
        let (mut lines, tail) = rest.split_at(whole);
        let is_valid = simdutf8::basic::from_utf8(lines).is_ok();
        while let Some(end) = memchr::memchr(b'\n', lines) {
            self.read_line(&lines[..end], is_valid)?;
            lines = &lines[end + 1..];
        }
        self.check_size(tail.len())?;
        self.tail.extend_from_slice(tail);
        Ok(())
    }

    /// Reads the last line.
    pub(super) fn end(&mut self) -> Result<(), DecodeError> {
        if self.tail.is_empty() {
            return Ok(());
        }
        self.read_tail()
    }

    fn read_tail(&mut self) -> Result<(), DecodeError> {
        let mut tail = std::mem::take(&mut self.tail);
        let is_valid = valid_prefix(&tail) == tail.len();
        self.read_line(&tail, is_valid)?;
        tail.clear();
        self.tail = tail;
        Ok(())
    }

    /// Reads one line, without its end. `is_valid` when it is known to be UTF-8.
    #[inline]
    fn read_line(&mut self, line: &[u8], is_valid: bool) -> Result<(), DecodeError> {
        self.check_size(line.len())?;
        let number = self.line;
        self.line += 1;
        let mut start = 0;
        if number == 1 && line.starts_with(BYTE_ORDER_MARK) {
            start = BYTE_ORDER_MARK.len();
        }
        let mut cursor = Cursor::new(line, start);
        cursor.skip_space();
        if cursor.at == line.len() {
            return Ok(());
        }
        self.reader.at_line(number);
        match self.try_line(line, cursor.at, is_valid) {
            Ok(()) => self.reader.commit(line.len()),
            Err(fault) => self.fail(line, fault),
        }
        Ok(())
    }

    #[inline]
    fn try_line(&mut self, line: &[u8], start: usize, is_valid: bool) -> Result<(), Fault> {
        if !is_valid {
            let valid = valid_prefix(line);
            if valid < line.len() {
                return Err(Fault::syntax(valid, "the text is not UTF-8"));
            }
        }
        let mut cursor = Cursor::new(line, self.reader.read(line, start)?);
        cursor.skip_space();
        if cursor.at < line.len() {
            return Err(Fault::syntax(cursor.at, "expected the end of the line"));
        }
        Ok(())
    }

    #[cold]
    fn fail(&mut self, line: &[u8], fault: Fault) {
        let message = format!("{} (byte {} of the line)", fault.why(), fault.at + 1);
        self.reader.fail(message, line);
    }

    fn check_size(&self, len: usize) -> Result<(), DecodeError> {
        let most = self.reader.record_bytes_max();
        if len <= most {
            return Ok(());
        }
        let message = format!("line {} is larger than {most} bytes", self.line);
        let error = DecodeError::new(DecodeErrorCode::TooLarge, message);
        Err(error.at_index(self.reader.index()).at_line(self.line))
    }
}

impl BatchDecoder for NdJsonDecoder {
    fn push(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        self.feed(chunk)
    }

    fn take(&mut self) -> Option<DecodedBatch> {
        self.reader.rows.take()
    }

    fn held_bytes(&self) -> usize {
        self.tail.capacity()
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        self.end()?;
        self.reader.rows.flush_last();
        Ok(())
    }
}
