//! What makes the rest of a body unreadable.

use std::fmt;

/// Why a body cannot be read any further. The text of each is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DecodeErrorCode {
    /// The body is not JSON, or not of the form that it must have.
    MalformedJson,
    /// The body is not CSV with a header.
    MalformedCsv,
    /// The body is not an Arrow IPC stream, or has a column that cannot be read.
    MalformedArrow,
    /// The body is not a Parquet file, or has a column that cannot be read.
    MalformedParquet,
    /// The body is not compressed as it claims to be.
    MalformedCompression,
    /// One record, or what must be held in memory at once, is larger than it may be.
    TooLarge,
    /// The body ends too early.
    Truncated,
    /// A header or an envelope names something unknown.
    UnknownProperty,
}

impl DecodeErrorCode {
    /// The stable text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::MalformedCsv => "malformed_csv",
            Self::MalformedArrow => "malformed_arrow",
            Self::MalformedParquet => "malformed_parquet",
            Self::MalformedCompression => "malformed_compression",
            Self::TooLarge => "too_large",
            Self::Truncated => "truncated",
            Self::UnknownProperty => "unknown_property",
        }
    }
}

impl fmt::Display for DecodeErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A body cannot be read any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    /// Why.
    pub code: DecodeErrorCode,
    /// Why, for a person.
    pub message: String,
    /// The index of the record, from zero, where known.
    pub index: Option<u64>,
    /// The line, from one, where the format has lines.
    pub line: Option<u64>,
    /// The offset in the body, from zero, where known.
    pub byte: Option<u64>,
    /// A JSON pointer into the body; empty for the whole of it.
    pub pointer: String,
}

impl DecodeError {
    pub(crate) fn new(code: DecodeErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            index: None,
            line: None,
            byte: None,
            pointer: String::new(),
        }
    }

    pub(crate) fn at_index(mut self, index: u64) -> Self {
        self.index = Some(index);
        self
    }

    pub(crate) fn at_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    pub(crate) fn at_byte(mut self, byte: u64) -> Self {
        self.byte = Some(byte);
        self
    }

    pub(crate) fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = pointer.into();
        self
    }
}
