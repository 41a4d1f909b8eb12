//! Any JSON value: checked strictly, written compactly, without recursion.

use staffa_domain::error::RecordErrorCode;

use super::cursor::{Cursor, Fault, TextFlaw, unescape};

/// What is wrong inside a value that is JSON all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WalkFlaw {
    /// A JSON pointer from the value on.
    pub(super) pointer: String,
    pub(super) code: RecordErrorCode,
    pub(super) message: String,
}

#[derive(Debug)]
struct Frame {
    is_object: bool,
    /// Where this object's keys begin in `Walker::keys`.
    keys_from: usize,
    /// Where their bytes begin in `Walker::key_bytes`.
    bytes_from: usize,
    /// The item that is being read, for an array.
    index: u64,
}

/// Walks values; its memory is kept from one to the next.
#[derive(Debug, Default)]
pub(super) struct Walker {
    frames: Vec<Frame>,
    key_bytes: Vec<u8>,
    keys: Vec<(usize, usize)>,
    flaw: Option<WalkFlaw>,
}

impl Walker {
    /// Reads the value at the cursor and appends it to `out` without insignificant space.
    /// It may nest `depth_max` deep. A flaw leaves `out` complete; a fault does not.
    pub(super) fn walk(
        &mut self,
        cursor: &mut Cursor<'_>,
        out: &mut Vec<u8>,
        depth_max: usize,
    ) -> Result<Option<WalkFlaw>, Fault> {
        self.frames.clear();
        self.key_bytes.clear();
        self.keys.clear();
        self.flaw = None;
        loop {
            let is_open = self.value(cursor, out, depth_max)?;
            if !is_open && self.close(cursor, out)? {
                return Ok(self.flaw.take());
            }
        }
    }

    /// Reads a scalar, an empty container or the opening of one; true when the next thing to
    /// read is a value within it.
    fn value(
        &mut self,
        cursor: &mut Cursor<'_>,
        out: &mut Vec<u8>,
        depth_max: usize,
    ) -> Result<bool, Fault> {
        cursor.skip_space();
        let start = cursor.at;
        match cursor.peek()? {
            b'"' => {
                let text = cursor.string()?;
                self.note_text(text.flaw);
            }
            b'-' | b'0'..=b'9' => {
                // It is kept as it is written, and one beyond a double breaks many a reader.
                let number = cursor.number()?;
                if let Err(problem) = number.to_double(&cursor.bytes[start..cursor.at]) {
                    self.note(problem.code, &problem.message);
                }
            }
            b't' => cursor.literal(b"true")?,
            b'f' => cursor.literal(b"false")?,
            b'n' => cursor.literal(b"null")?,
            open @ (b'{' | b'[') => {
                if self.frames.len() >= depth_max {
                    return Err(Fault::syntax(start, "the value nests too deeply"));
                }
                return self.open(cursor, out, open == b'{');
            }
            _ => return Err(Fault::syntax(start, "expected a value")),
        }
        out.extend_from_slice(&cursor.bytes[start..cursor.at]);
        Ok(false)
    }

    fn open(
        &mut self,
        cursor: &mut Cursor<'_>,
        out: &mut Vec<u8>,
        is_object: bool,
    ) -> Result<bool, Fault> {
        out.push(if is_object { b'{' } else { b'[' });
        cursor.at += 1;
        cursor.skip_space();
        let close = if is_object { b'}' } else { b']' };
        if cursor.peek()? == close {
            cursor.at += 1;
            out.push(close);
            return Ok(false);
        }
        self.frames.push(Frame {
            is_object,
            keys_from: self.keys.len(),
            bytes_from: self.key_bytes.len(),
            index: 0,
        });
        if is_object {
            self.key(cursor, out)?;
        }
        Ok(true)
    }

    fn key(&mut self, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        cursor.skip_space();
        let start = cursor.at;
        if cursor.peek()? != b'"' {
            return Err(Fault::syntax(start, "expected a name in quotes"));
        }
        let text = cursor.string()?;
        out.extend_from_slice(&cursor.bytes[start..cursor.at]);
        let from = self.key_bytes.len();
        unescape(&cursor.bytes[text.start..text.end], &mut self.key_bytes);
        self.keys.push((from, self.key_bytes.len()));
        self.note_text(text.flaw);
        cursor.skip_space();
        cursor.expect(b':', "expected a colon")?;
        out.push(b':');
        Ok(())
    }

    /// After a value: true when it was the outermost one.
    fn close(&mut self, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<bool, Fault> {
        while let Some(frame) = self.frames.last_mut() {
            cursor.skip_space();
            let byte = cursor.peek()?;
            match byte {
                b',' => {
                    frame.index += 1;
                    let is_object = frame.is_object;
                    cursor.at += 1;
                    out.push(b',');
                    if is_object {
                        self.key(cursor, out)?;
                    }
                    return Ok(false);
                }
                b'}' if frame.is_object => self.close_object(),
                b']' if !frame.is_object => drop(self.frames.pop()),
                _ => {
                    return Err(Fault::syntax(
                        cursor.at,
                        "expected a comma or a closing bracket",
                    ));
                }
            }
            cursor.at += 1;
            out.push(byte);
        }
        Ok(true)
    }

    fn close_object(&mut self) {
        if let Some(frame) = self.frames.pop() {
            if let Some((from, to)) = self.duplicate(frame.keys_from) {
                let name = String::from_utf8_lossy(&self.key_bytes[from..to]).into_owned();
                let pointer = format!("{}/{}", self.pointer(), escape_pointer(&name));
                self.flaw.get_or_insert(WalkFlaw {
                    pointer,
                    code: RecordErrorCode::DuplicateProperty,
                    message: format!("{name} appears twice"),
                });
            }
            self.keys.truncate(frame.keys_from);
            self.key_bytes.truncate(frame.bytes_from);
        }
    }

    fn duplicate(&mut self, from: usize) -> Option<(usize, usize)> {
        const PAIRWISE_MAX: usize = 8;
        let bytes = &self.key_bytes;
        let keys = &mut self.keys[from..];
        let same = |a: (usize, usize), b: (usize, usize)| bytes[a.0..a.1] == bytes[b.0..b.1];
        if keys.len() <= PAIRWISE_MAX {
            let found = (1..keys.len()).find(|at| keys[..*at].iter().any(|k| same(*k, keys[*at])));
            return found.map(|at| keys[at]);
        }
        keys.sort_unstable_by(|a, b| bytes[a.0..a.1].cmp(&bytes[b.0..b.1]));
        keys.windows(2)
            .find(|pair| same(pair[0], pair[1]))
            .map(|pair| pair[1])
    }

    #[inline]
    fn note_text(&mut self, flaw: Option<TextFlaw>) {
        if let Some(flaw) = flaw {
            self.note(RecordErrorCode::TypeMismatch, flaw.why());
        }
    }

    /// Notes a flaw of what is being read now, unless there was one already.
    #[cold]
    fn note(&mut self, code: RecordErrorCode, message: &str) {
        if self.flaw.is_none() {
            self.flaw = Some(WalkFlaw {
                pointer: self.pointer(),
                code,
                message: message.to_owned(),
            });
        }
    }

    /// The pointer to what is being read now.
    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for (depth, frame) in self.frames.iter().enumerate() {
            pointer.push('/');
            if frame.is_object {
                let to = self
                    .frames
                    .get(depth + 1)
                    .map_or(self.keys.len(), |next| next.keys_from);
                let (from, to) = self.keys[..to].last().copied().unwrap_or_default();
                let name = String::from_utf8_lossy(&self.key_bytes[from..to]);
                pointer.push_str(&escape_pointer(&name));
            } else {
                pointer.push_str(&frame.index.to_string());
            }
        }
        pointer
    }
}

/// A name as one step of a JSON pointer (RFC 6901).
pub(super) fn escape_pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
