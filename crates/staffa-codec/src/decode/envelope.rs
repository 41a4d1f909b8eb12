//! Bodies of the form `{"schema_name": …, "data": …}`, whose members come in any order.

use std::sync::Arc;

use staffa_domain::DecodedBatch;
use staffa_domain::schema::SchemaSnapshot;

use super::array::{ArrayDecoder, valid_prefix};
use super::cursor::{Cursor, unescape};
use super::frame::Framer;
use super::{BatchDecoder, DecodeError, DecodeErrorCode, DecodeOptions};

/// The longest name of a member or a schema that is looked at, in bytes.
const NAME_MAX: usize = 1_024;

/// What `data` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One record.
    Object,
    /// An array of records.
    Array,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    SchemaName,
    Data,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Start,
    KeyOrEnd,
    NextKey,
    Key,
    Colon(Member),
    Value(Member),
    Name,
    /// The records, to be decoded as they come, once the schema is resolved.
    Data,
    /// The records before the schema's name: kept until it is known.
    Kept,
    CommaOrEnd,
    Done,
}

/// Reads an envelope. Push chunks until the schema's name is known, resolve it, then go on
/// as with any [`BatchDecoder`]. Nothing behind the name is looked at before, so that it does
/// not depend on the chunks whether an unknown schema or a fault behind it is told.
#[derive(Debug)]
pub struct EnvelopeDecoder {
    phase: Phase,
    framer: Framer,
    token: Vec<u8>,
    /// Where the token starts in the body.
    token_at: u64,
    name: Option<String>,
    shape: Option<Shape>,
    target: Option<(Arc<SchemaSnapshot>, DecodeOptions)>,
    inner: Option<ArrayDecoder>,
    /// Records that came before the schema's name, where they start, and how much of them was
    /// read since.
    kept: Vec<u8>,
    kept_at: u64,
    kept_read: usize,
    /// What was pushed after the name was known and before it was resolved.
    pending: Vec<u8>,
    buffer_max: usize,
    /// Where the next unread byte stands in the body.
    offset: u64,
}

impl EnvelopeDecoder {
    /// Makes one that keeps at most `buffer_max` bytes of records whose schema it does not
    /// know yet.
    pub fn new(buffer_max: usize) -> Self {
        Self {
            phase: Phase::Start,
            framer: Framer::default(),
            token: Vec::new(),
            token_at: 0,
            name: None,
            shape: None,
            target: None,
            inner: None,
            kept: Vec::new(),
            kept_at: 0,
            kept_read: 0,
            pending: Vec::new(),
            buffer_max,
            offset: 0,
        }
    }

    /// Reads all of a chunk; answers the schema's name once it is known.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Option<&str>, DecodeError> {
        if self.is_waiting() {
            self.hold(chunk)?;
        } else {
            let read = self.read(chunk)?;
            self.hold(&chunk[read..])?;
        }
        Ok(self.name.as_deref())
    }

    /// Says which schema the name stands for and reads what had to wait for it.
    pub fn resolve(
        &mut self,
        schema: Arc<SchemaSnapshot>,
        options: DecodeOptions,
    ) -> Result<(), DecodeError> {
        self.resolve_to(schema, options);
        while self.read_on(usize::MAX)? {}
        Ok(())
    }

    /// Says which schema the name stands for. What had to wait for it is to be read by
    /// [`EnvelopeDecoder::read_on`] before anything else is pushed.
    pub fn resolve_to(&mut self, schema: Arc<SchemaSnapshot>, options: DecodeOptions) {
        self.target = Some((schema, options));
        if !self.kept.is_empty() {
            self.start_inner(self.kept_at);
        }
    }

    /// Reads at most `most` bytes of what had to wait for the schema; false where nothing of it
    /// is left.
    pub fn read_on(&mut self, most: usize) -> Result<bool, DecodeError> {
        if self.kept_read < self.kept.len() {
            self.read_kept(most)?;
            return Ok(true);
        }
        self.kept = Vec::new();
        self.kept_read = 0;
        if self.pending.is_empty() {
            return Ok(false);
        }
        let mut pending = std::mem::take(&mut self.pending);
        let now = most.min(pending.len());
        let read = self.read(&pending[..now])?;
        debug_assert_eq!(read, now, "nothing waits once the schema is known");
        pending.drain(..now);
        self.pending = pending;
        Ok(true)
    }

    /// What `data` is, once it has begun.
    pub const fn shape(&self) -> Option<Shape> {
        self.shape
    }

    /// The schema's name, once it is known.
    pub fn schema_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The next completed batch.
    pub fn take(&mut self) -> Option<DecodedBatch> {
        self.inner.as_mut().and_then(BatchDecoder::take)
    }

    /// Says that the body is over. It says nothing of what stands behind the schema's name
    /// while that waits to be resolved.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        if self.is_waiting() {
            return Ok(());
        }
        if self.phase != Phase::Done {
            self.check_begun()?;
            let error = DecodeError::new(DecodeErrorCode::Truncated, "the body ends too early");
            return Err(error.at_byte(self.offset));
        }
        for (is_there, name) in [
            (self.name.is_some(), "schema_name"),
            (self.shape.is_some(), "data"),
        ] {
            if !is_there {
                let message = format!("{name} is missing");
                let error = DecodeError::new(DecodeErrorCode::MalformedJson, message);
                return Err(error.at(format!("/{name}")));
            }
        }
        self.inner.as_mut().map_or(Ok(()), BatchDecoder::finish)
    }

    /// Says what is wrong with a record that was cut off: wrong and cut off is wrong first.
    fn check_begun(&mut self) -> Result<(), DecodeError> {
        let shape = self.shape;
        let inner = self.inner.as_mut().filter(|inner| !inner.is_done());
        match inner.map_or(Ok(()), BatchDecoder::finish) {
            Err(error) if error.code != DecodeErrorCode::Truncated => {
                Err(within_data(error, shape))
            }
            _ => Ok(()),
        }
    }

    /// Whether nobody has said yet which schema the name stands for.
    const fn is_waiting(&self) -> bool {
        self.name.is_some() && self.target.is_none()
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        if self.pending.len() + bytes.len() > self.buffer_max.max(bytes.len()) {
            return Err(self.too_large());
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads until the chunk ends or the schema must be known; answers how much it read.
    fn read(&mut self, chunk: &[u8]) -> Result<usize, DecodeError> {
        let start = self.offset;
        let mut at = 0;
        while at < chunk.len() && !self.is_waiting() {
            at += self.step(&chunk[at..])?;
            self.offset = start + at as u64;
        }
        Ok(at)
    }

    /// Reads one thing at the start of `rest`, which is not empty, or the space before it.
    fn step(&mut self, rest: &[u8]) -> Result<usize, DecodeError> {
        match self.phase {
            Phase::Key | Phase::Name => return self.read_token(rest),
            Phase::Kept => return self.keep(rest),
            Phase::Data => return self.read_data(rest),
            _ => {}
        }
        let mut cursor = Cursor::new(rest, 0);
        cursor.skip_space();
        let Some(byte) = rest.get(cursor.at).copied() else {
            return Ok(rest.len());
        };
        let (next, is_taken) = match (self.phase, byte) {
            (Phase::Start, b'{') => (Phase::KeyOrEnd, true),
            (Phase::KeyOrEnd | Phase::NextKey, b'"') => (Phase::Key, false),
            (Phase::KeyOrEnd | Phase::CommaOrEnd, b'}') => (Phase::Done, true),
            (Phase::CommaOrEnd, b',') => (Phase::NextKey, true),
            (Phase::Colon(member), b':') => (Phase::Value(member), true),
            (Phase::Value(Member::SchemaName), b'"') => (Phase::Name, false),
            (Phase::Value(Member::Data), b'{' | b'[') => {
                self.start_data(byte, self.offset + cursor.at as u64);
                let is_known = self.name.is_some();
                (if is_known { Phase::Data } else { Phase::Kept }, false)
            }
            (phase, _) => return Err(self.unexpected(phase, cursor.at)),
        };
        if matches!(next, Phase::Key | Phase::Name | Phase::Kept) {
            self.framer = Framer::default();
            self.token.clear();
            self.token_at = self.offset + cursor.at as u64;
        }
        self.phase = next;
        Ok(cursor.at + usize::from(is_taken))
    }

    fn unexpected(&self, phase: Phase, at: usize) -> DecodeError {
        let (why, pointer) = match phase {
            Phase::Start => ("expected an object", ""),
            Phase::Colon(_) => ("expected a colon", ""),
            Phase::Value(Member::SchemaName) => ("must be a string", "/schema_name"),
            Phase::Value(Member::Data) => ("must be an object or an array", "/data"),
            Phase::CommaOrEnd => ("expected a comma or a closing brace", ""),
            Phase::Done => ("expected nothing after the end", ""),
            _ => ("expected a name in quotes", ""),
        };
        let error = DecodeError::new(DecodeErrorCode::MalformedJson, why);
        error.at(pointer).at_byte(self.offset + at as u64)
    }

    fn start_data(&mut self, byte: u8, offset: u64) {
        self.shape = Some(if byte == b'{' {
            Shape::Object
        } else {
            Shape::Array
        });
        self.kept_at = offset;
        if self.name.is_some() {
            self.start_inner(offset);
        }
    }

    fn start_inner(&mut self, offset: u64) {
        if let Some((schema, options)) = self.target.clone() {
            let mut inner = match self.shape {
                Some(Shape::Object) => ArrayDecoder::single(schema, options),
                _ => ArrayDecoder::new(schema, options),
            };
            inner.start_at(offset);
            self.inner = Some(inner);
        }
    }

    fn read_data(&mut self, rest: &[u8]) -> Result<usize, DecodeError> {
        let Some(inner) = &mut self.inner else {
            return Ok(0);
        };
        let shape = self.shape;
        let read = inner.consume(rest).map_err(|e| within_data(e, shape))?;
        if inner.is_done() {
            self.phase = Phase::CommaOrEnd;
        }
        Ok(read)
    }

    fn keep(&mut self, rest: &[u8]) -> Result<usize, DecodeError> {
        let end = self.framer.scan(rest);
        let read = end.unwrap_or(rest.len());
        if self.kept.len() + read > self.buffer_max {
            return Err(self.too_large());
        }
        self.kept.extend_from_slice(&rest[..read]);
        if end.is_some() {
            self.phase = Phase::CommaOrEnd;
        }
        Ok(read)
    }

    fn read_kept(&mut self, most: usize) -> Result<(), DecodeError> {
        let rest = &self.kept[self.kept_read..];
        let now = &rest[..most.min(rest.len())];
        if let Some(inner) = &mut self.inner {
            let shape = self.shape;
            inner.push(now).map_err(|e| within_data(e, shape))?;
        }
        self.kept_read += now.len();
        Ok(())
    }

    /// Reads a member's name or the schema's name.
    fn read_token(&mut self, rest: &[u8]) -> Result<usize, DecodeError> {
        let end = self.framer.scan(rest);
        let read = end.unwrap_or(rest.len());
        self.token
            .extend_from_slice(&rest[..read.min(NAME_MAX + 1)]);
        if self.token.len() > NAME_MAX {
            let error = DecodeError::new(DecodeErrorCode::TooLarge, "a name is too long");
            return Err(error.at_byte(self.token_at));
        }
        if end.is_some() {
            let text = self.token_text()?;
            self.phase = if self.phase == Phase::Name {
                self.name = Some(text);
                Phase::CommaOrEnd
            } else {
                Phase::Colon(self.member(&text)?)
            };
        }
        Ok(read)
    }

    fn token_text(&self) -> Result<String, DecodeError> {
        let bad =
            |why| DecodeError::new(DecodeErrorCode::MalformedJson, why).at_byte(self.token_at);
        if valid_prefix(&self.token) < self.token.len() {
            return Err(bad("the text is not UTF-8"));
        }
        let mut cursor = Cursor::new(&self.token, 0);
        let text = cursor.string().map_err(|fault| bad(fault.why()))?;
        let mut out = Vec::new();
        unescape(&self.token[text.start..text.end], &mut out);
        String::from_utf8(out).map_err(|_| bad("the text is not UTF-8"))
    }

    fn member(&self, name: &str) -> Result<Member, DecodeError> {
        let (member, is_again) = match name {
            "schema_name" => (Member::SchemaName, self.name.is_some()),
            "data" => (Member::Data, self.shape.is_some()),
            _ => {
                let message = format!("unknown member {name}; expected schema_name and data");
                let pointer = format!("/{}", super::walk::escape_pointer(name));
                let error = DecodeError::new(DecodeErrorCode::UnknownProperty, message);
                return Err(error.at(pointer).at_byte(self.token_at));
            }
        };
        if is_again {
            let message = format!("{name} appears twice");
            let error = DecodeError::new(DecodeErrorCode::MalformedJson, message);
            return Err(error.at(format!("/{name}")).at_byte(self.token_at));
        }
        Ok(member)
    }

    fn too_large(&self) -> DecodeError {
        let message = format!(
            "more than {} bytes of data come before schema_name; put schema_name first",
            self.buffer_max
        );
        DecodeError::new(DecodeErrorCode::TooLarge, message).at("/data")
    }
}

fn within_data(error: DecodeError, shape: Option<Shape>) -> DecodeError {
    let pointer = match (shape, error.index) {
        (Some(Shape::Array), Some(index)) => format!("/data/{index}"),
        _ => "/data".to_owned(),
    };
    error.at(pointer)
}

impl BatchDecoder for EnvelopeDecoder {
    fn push(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        Self::push(self, chunk).map(|_| ())
    }

    fn take(&mut self) -> Option<DecodedBatch> {
        Self::take(self)
    }

    fn held_bytes(&self) -> usize {
        let inner = self.inner.as_ref().map_or(0, BatchDecoder::held_bytes);
        self.kept.capacity() + self.pending.capacity() + inner
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        Self::finish(self)
    }
}
