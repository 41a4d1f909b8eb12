//! Reading HTTP/1.1 answers piece by piece, as cheaply as can be: the status, how long the
//! body is, and where it ends.

use std::fmt;

/// The longest head that is read.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// The longest line of a chunk's size or of a trailer.
const LINE_BYTES_MAX: usize = 8 << 10;

/// An answer that breaks the protocol, as far as a benchmark cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadAnswer(&'static str);

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server's answer is not HTTP: {}", self.0)
    }
}

impl std::error::Error for BadAnswer {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Sized(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    Done,
}

/// Reads one answer.
#[derive(Debug)]
pub(crate) struct AnswerReader {
    state: State,
    /// The start of a head or of a line that has not wholly come yet.
    partial: Vec<u8>,
    status: u16,
    body_bytes: u64,
    closes: bool,
}

impl AnswerReader {
    /// A reader before an answer.
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Head,
            partial: Vec::new(),
            status: 0,
            body_bytes: 0,
            closes: false,
        }
    }

    /// Makes ready for the next answer.
    pub(crate) fn restart(&mut self) {
        self.partial.clear();
        (self.state, self.status, self.body_bytes, self.closes) = (State::Head, 0, 0, false);
    }

    /// Whether the answer has wholly come.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Its status, or 0 before it has come.
    pub(crate) const fn status(&self) -> u16 {
        self.status
    }

    /// How much of the body has come.
    pub(crate) const fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Whether the server will close the connection.
    pub(crate) const fn closes(&self) -> bool {
        self.closes
    }

    /// Takes what has come and hands the body's pieces on. Answers how much was taken, which
    /// is less than all only where the next answer begins.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        body: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, BadAnswer> {
        let mut at = 0;
        while at < input.len() && !self.is_done() {
            let rest = &input[at..];
            at += match self.state {
                State::Head => self.head(rest)?,
                State::Sized(left) => {
                    let (taken, left) = self.body(rest, left, body);
                    self.state = if left == 0 {
                        State::Done
                    } else {
                        State::Sized(left)
                    };
                    taken
                }
                State::Chunk(left) => {
                    let (taken, left) = self.body(rest, left, body);
                    self.state = if left == 0 {
                        State::ChunkEnd
                    } else {
                        State::Chunk(left)
                    };
                    taken
                }
                State::ChunkSize | State::ChunkEnd | State::Trailer => self.line(rest)?,
                State::Done => 0,
            };
        }
        Ok(at)
    }

    fn body(&mut self, rest: &[u8], left: u64, body: &mut dyn FnMut(&[u8])) -> (usize, u64) {
        let taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        body(&rest[..taken]);
        self.body_bytes += taken as u64;
        (taken, left - taken as u64)
    }

    fn head(&mut self, rest: &[u8]) -> Result<usize, BadAnswer> {
        let before = self.partial.len();
        let length = if before == 0 {
            self.parse_head(rest)?
        } else {
            self.partial.extend_from_slice(rest);
            let whole = std::mem::take(&mut self.partial);
            let length = self.parse_head(&whole)?;
            self.partial = whole;
            length
        };
        match length {
            Some(length) => {
                self.partial.clear();
                Ok(length - before)
            }
            None => {
                if before == 0 {
                    self.partial.extend_from_slice(rest);
                }
                if self.partial.len() > HEAD_BYTES_MAX {
                    return Err(BadAnswer("its head does not end"));
                }
                Ok(rest.len())
            }
        }
    }

    fn parse_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, BadAnswer> {
        let mut headers = [httparse::EMPTY_HEADER; 48];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(BadAnswer("its head can't be read")),
        };
        self.status = response.code.unwrap_or(0);
        let (mut size, mut chunked) = (None, false);
        for header in response.headers.iter() {
            let value = header.value.trim_ascii();
            if header.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(value).ok();
                let parsed = text.and_then(|text| text.parse::<u64>().ok());
                size = Some(parsed.ok_or(BadAnswer("its length is no number"))?);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.eq_ignore_ascii_case(b"chunked");
            } else if header.name.eq_ignore_ascii_case("connection") {
                self.closes = value.eq_ignore_ascii_case(b"close");
            }
        }
        let empty = matches!(self.status, 204 | 304);
        self.state = match (size, chunked) {
            // An interim answer, such as 100 Continue: the real one follows.
            _ if self.status < 200 => State::Head,
            _ if empty => State::Done,
            (_, true) => State::ChunkSize,
            (Some(0), false) => State::Done,
            (Some(size), false) => State::Sized(size),
            (None, false) => return Err(BadAnswer("its body has no length")),
        };
        Ok(Some(length))
    }

    /// Takes up to the end of a line, and the line once it is whole.
    fn line(&mut self, rest: &[u8]) -> Result<usize, BadAnswer> {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            self.partial.extend_from_slice(rest);
            if self.partial.len() > LINE_BYTES_MAX {
                return Err(BadAnswer("a line of its chunks does not end"));
            }
            return Ok(rest.len());
        };
        self.partial.extend_from_slice(&rest[..end]);
        let line = std::mem::take(&mut self.partial);
        self.whole_line(line.trim_ascii())?;
        self.partial = line;
        self.partial.clear();
        Ok(end + 1)
    }

    fn whole_line(&mut self, line: &[u8]) -> Result<(), BadAnswer> {
        self.state = match self.state {
            State::ChunkSize => match chunk_size(line)? {
                0 => State::Trailer,
                size => State::Chunk(size),
            },
            State::Trailer if line.is_empty() => State::Done,
            State::Trailer => State::Trailer,
            _ if line.is_empty() => State::ChunkSize,
            _ => return Err(BadAnswer("a chunk is longer than it says")),
        };
        Ok(())
    }
}

fn chunk_size(line: &[u8]) -> Result<u64, BadAnswer> {
    let digits = line
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let text = std::str::from_utf8(digits).ok();
    let size = text.and_then(|text| u64::from_str_radix(text, 16).ok());
    size.ok_or(BadAnswer("the size of a chunk is no number"))
}

#[cfg(test)]
mod tests;
