//! A JSON array of records, or one record alone, from chunks.

use std::sync::Arc;

use staffa_domain::DecodedBatch;
use staffa_domain::schema::SchemaSnapshot;

use super::cursor::{Cursor, Fault, FaultKind};
use super::frame::Framer;
use super::record::{JsonRecords, RecordReader};
use super::{BatchDecoder, DecodeError, DecodeErrorCode, DecodeOptions};

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The array's opening bracket.
    Start,
    /// A record; or the end, in an empty array.
    First,
    /// A record.
    Next,
    /// The rest of a record whose beginning is in `tail`.
    Within,
    /// A comma or the end.
    After,
    /// Nothing but space.
    Done,
}

/// Reads an array of records. A record that lies within one chunk is read where it is.
#[derive(Debug)]
pub(super) struct ArrayDecoder<R = RecordReader> {
    pub(super) reader: R,
    state: State,
    is_single: bool,
    tail: Vec<u8>,
    framer: Framer,
    /// Where the current chunk starts in the body.
    offset: u64,
}

impl ArrayDecoder {
    pub(super) fn new(schema: Arc<SchemaSnapshot>, options: DecodeOptions) -> Self {
        Self::over(RecordReader::new(schema, options, false))
    }

    /// Reads one object instead of an array.
    pub(super) fn single(schema: Arc<SchemaSnapshot>, options: DecodeOptions) -> Self {
        Self {
            is_single: true,
            state: State::Next,
            ..Self::new(schema, options)
        }
    }
}

impl<R: JsonRecords> ArrayDecoder<R> {
    pub(super) fn over(reader: R) -> Self {
        Self {
            reader,
            state: State::Start,
            is_single: false,
            tail: Vec::new(),
            framer: Framer::default(),
            offset: 0,
        }
    }

    /// Reads all of a chunk.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        let read = self.consume(chunk)?;
        if read < chunk.len() {
            return Err(self.malformed(0, "expected nothing after the end"));
        }
        Ok(())
    }

    /// Says that the body is over.
    pub(super) fn end(&mut self) -> Result<(), DecodeError> {
        if self.state == State::Within {
            // Wrong and cut off is wrong first.
            self.check_begun(self.offset - self.tail.len() as u64)?;
        }
        if self.state != State::Done {
            let error = DecodeError::new(DecodeErrorCode::Truncated, "the body ends too early");
            return Err(error.at_byte(self.offset).at_index(self.reader.index()));
        }
        Ok(())
    }

    /// Says where in the body the next chunk starts.
    pub(super) const fn start_at(&mut self, offset: u64) {
        self.offset = offset;
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads up to the end of the array or of the chunk; answers how much it read.
    pub(super) fn consume(&mut self, chunk: &[u8]) -> Result<usize, DecodeError> {
        let mut at = 0;
        let mut checked = None;
        loop {
            if self.state == State::Within {
                match self.framer.scan(&chunk[at..]) {
                    Some(len) => {
                        self.extend_tail(&chunk[at..at + len], at)?;
                        at += len;
                        self.read_tail(self.offset + at as u64)?;
                    }
                    None => {
                        self.extend_tail(&chunk[at..], at)?;
                        at = chunk.len();
                    }
                }
            }
            let mut cursor = Cursor::new(chunk, at);
            cursor.skip_space();
            at = cursor.at;
            if at == chunk.len() || self.state == State::Done {
                self.offset += at as u64;
                return Ok(at);
            }
            if self.punctuation(chunk[at], at)? {
                at += 1;
                continue;
            }
            self.check_opening(chunk[at], at)?;
            // Validated once a chunk, and only where records are read in place.
            let text = *checked.get_or_insert_with(|| at + valid_prefix(&chunk[at..]));
            at = self.read_in_place(chunk, text, at)?;
        }
    }

    /// Takes a byte between records; false when a record starts with it.
    fn punctuation(&mut self, byte: u8, at: usize) -> Result<bool, DecodeError> {
        self.state = match (self.state, byte) {
            (State::Start, b'[') => State::First,
            (State::First, b']') if !self.is_single => State::Done,
            (State::After, b',') => State::Next,
            (State::After, b']') => State::Done,
            (State::First | State::Next, _) => return Ok(false),
            (State::Start, _) => return Err(self.malformed(at, "expected an array of records")),
            _ => return Err(self.malformed(at, "expected a comma or the end of the array")),
        };
        Ok(true)
    }

    fn check_opening(&self, byte: u8, at: usize) -> Result<(), DecodeError> {
        if self.is_single && byte != b'{' {
            return Err(self.malformed(at, "a record must be an object"));
        }
        match byte {
            b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Ok(()),
            _ => Err(self.malformed(at, "expected a record")),
        }
    }

    /// Reads the record at `at` if all of it is here, else starts a tail.
    #[inline]
    fn read_in_place(
        &mut self,
        chunk: &[u8],
        text: usize,
        at: usize,
    ) -> Result<usize, DecodeError> {
        if chunk[at] == b'{' {
            // One that is too large is told of as if it had come in pieces.
            let most = at.saturating_add(self.reader.record_bytes_max());
            match self.reader.read(&chunk[..text.min(most)], at) {
                Ok(end) => {
                    self.reader.commit(end - at);
                    self.state = if self.is_single {
                        State::Done
                    } else {
                        State::After
                    };
                    return Ok(end);
                }
                Err(Fault {
                    kind: FaultKind::End,
                    ..
                }) => self.reader.roll_back(),
                Err(fault) => {
                    self.reader.roll_back();
                    return Err(self.malformed(fault.at, fault.why()));
                }
            }
        }
        self.tail.clear();
        self.framer = Framer::default();
        self.state = State::Within;
        Ok(at)
    }

    /// Appends what begins at `at` of the chunk. A record that gets too large is wrong first
    /// where it is wrong.
    fn extend_tail(&mut self, bytes: &[u8], at: usize) -> Result<(), DecodeError> {
        let start = self.offset + at as u64 - self.tail.len() as u64;
        let most = self.reader.record_bytes_max();
        let room = most - self.tail.len();
        self.tail.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() <= room {
            return Ok(());
        }
        self.check_begun(start)?;
        let message = format!("a record is larger than {most} bytes");
        let error = DecodeError::new(DecodeErrorCode::TooLarge, message);
        Err(error.at_index(self.reader.index()))
    }

    /// Says what is wrong with the beginning of a record that does not end here.
    fn check_begun(&mut self, start: u64) -> Result<(), DecodeError> {
        let mut tail = std::mem::take(&mut self.tail);
        if let Err(error) = std::str::from_utf8(&tail)
            && error.error_len().is_none()
        {
            // A character may be cut in two.
            tail.truncate(error.valid_up_to());
        }
        let text = valid_prefix(&tail);
        let read = self.look_at(&tail[..text]);
        self.reader.roll_back();
        let fault = match read {
            Err(fault) if matches!(fault.kind, FaultKind::Syntax(_)) => fault,
            _ if text < tail.len() => Fault::syntax(text, "the text is not UTF-8"),
            _ => return Ok(()),
        };
        let error = self.malformed(0, fault.why());
        Err(error.at_byte(start + fault.at as u64))
    }

    /// Reads what may be a record and counts none.
    fn look_at(&mut self, text: &[u8]) -> Result<(), Fault> {
        if text.first() == Some(&b'{') {
            return self.reader.read(text, 0).map(|_| ());
        }
        self.reader.skip(&mut Cursor::new(text, 0))
    }

    /// Reads the record that is whole in the tail; the body has been read up to `end`.
    fn read_tail(&mut self, end: u64) -> Result<(), DecodeError> {
        let tail = std::mem::take(&mut self.tail);
        let start = end - tail.len() as u64;
        if let Err(fault) = self.try_tail(&tail) {
            self.reader.roll_back();
            let error = self.malformed(0, fault.why());
            return Err(error.at_byte(start + fault.at as u64));
        }
        self.state = if self.is_single {
            State::Done
        } else {
            State::After
        };
        self.tail = tail;
        self.tail.clear();
        Ok(())
    }

    fn try_tail(&mut self, tail: &[u8]) -> Result<(), Fault> {
        let text = valid_prefix(tail);
        if text < tail.len() {
            // What comes before the bad byte may be wrong in its own way.
            return match self.reader.read(&tail[..text], 0) {
                Err(
                    fault @ Fault {
                        kind: FaultKind::Syntax(_),
                        ..
                    },
                ) => Err(fault),
                _ => Err(Fault::syntax(text, "the text is not UTF-8")),
            };
        }
        if tail.first() == Some(&b'{') {
            let end = self.reader.read(tail, 0)?;
            if end < tail.len() {
                return Err(Fault::syntax(
                    end,
                    "expected a comma or the end of the array",
                ));
            }
            self.reader.commit(tail.len());
            return Ok(());
        }
        let mut cursor = Cursor::new(tail, 0);
        self.reader.skip(&mut cursor)?;
        if cursor.at < tail.len() {
            return Err(Fault::syntax(
                cursor.at,
                "expected a comma or the end of the array",
            ));
        }
        let message = "a record must be an object".to_owned();
        self.reader.fail(message, tail);
        Ok(())
    }

    #[cold]
    fn malformed(&self, at: usize, why: &str) -> DecodeError {
        DecodeError::new(DecodeErrorCode::MalformedJson, why)
            .at_byte(self.offset + at as u64)
            .at_index(self.reader.index())
    }
}

/// How many bytes from the start are UTF-8; a character that is cut off counts as not.
pub(super) fn valid_prefix(bytes: &[u8]) -> usize {
    if simdutf8::basic::from_utf8(bytes).is_ok() {
        return bytes.len();
    }
    match simdutf8::compat::from_utf8(bytes) {
        Ok(text) => text.len(),
        Err(error) => error.valid_up_to(),
    }
}

impl BatchDecoder for ArrayDecoder {
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
