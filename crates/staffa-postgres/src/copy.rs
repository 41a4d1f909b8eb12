//! Arrow ⇄ PostgreSQL's binary values, as COPY BINARY, parameters and result rows share them.

#[cfg(any(test, fuzzing))]
pub(crate) mod check;
pub(crate) mod decode;
pub(crate) mod encode;
mod numeric;
mod param;
#[cfg(test)]
mod tests;

pub(crate) use param::{ArrayParam, Param, references};

/// What a COPY BINARY stream starts with: signature, no flags, no extension.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub(crate) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// 2000-01-01, PostgreSQL's epoch, in microseconds since ours.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// The same in days.
const EPOCH_DAYS: i32 = 10_957;

/// A value or a layout that the codec cannot carry: a bug, or a foreign hand in the database.
#[derive(Debug, thiserror::Error)]
#[error("binary value: {0}")]
pub(crate) struct CodecError(pub(crate) String);

impl CodecError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl From<CodecError> for staffa_domain::StorageError {
    fn from(error: CodecError) -> Self {
        Self::internal(error)
    }
}
