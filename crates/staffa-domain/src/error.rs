//! What can go wrong: with one record of a batch, and with a storage engine's answer.

use std::fmt;

use crate::change::Incompatible;

/// Why one record was refused. The text of each is stable and part of the wire contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordErrorCode {
    /// A line, element or row could not be read at all.
    Malformed,
    /// Two members of one object have the same name.
    DuplicateProperty,
    /// A property the schema does not know.
    UnknownProperty,
    /// A required property is absent or null.
    Required,
    /// The value is not of the property's type.
    TypeMismatch,
    /// The value does not fit the type: an integer beyond 64 bits, a decimal with more digits.
    OutOfRange,
    /// Smaller than `minimum` or not larger than `exclusive_minimum`.
    BelowMinimum,
    /// Larger than `maximum` or not smaller than `exclusive_maximum`.
    AboveMaximum,
    /// Fewer code points than `min_length`.
    TooShort,
    /// More code points than `max_length`.
    TooLong,
    /// The text does not match `pattern`.
    PatternMismatch,
    /// The value is none of `enum`.
    NotInEnum,
    /// Fewer items than `min_items`.
    TooFewItems,
    /// More items than `max_items`.
    TooManyItems,
    /// Another record has the same unique value or key.
    UniqueViolation,
    /// There is no record with this key to change.
    RecordNotFound,
    /// The record is larger than one record may be.
    TooLarge,
}

impl RecordErrorCode {
    /// The stable code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::DuplicateProperty => "duplicate_property",
            Self::UnknownProperty => "unknown_property",
            Self::Required => "required",
            Self::TypeMismatch => "type_mismatch",
            Self::OutOfRange => "out_of_range",
            Self::BelowMinimum => "below_minimum",
            Self::AboveMaximum => "above_maximum",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::PatternMismatch => "pattern_mismatch",
            Self::NotInEnum => "not_in_enum",
            Self::TooFewItems => "too_few_items",
            Self::TooManyItems => "too_many_items",
            Self::UniqueViolation => "unique_violation",
            Self::RecordNotFound => "record_not_found",
            Self::TooLarge => "too_large",
        }
    }
}

impl fmt::Display for RecordErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing wrong with one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// The record's index in the request, from zero.
    pub index: u64,
    /// The line on which it starts, from one, where the format has lines.
    pub line: Option<u64>,
    /// A JSON pointer (RFC 6901) into the record; empty for the whole of it.
    pub pointer: String,
    /// Why.
    pub code: RecordErrorCode,
    /// Why, for a person.
    pub message: String,
    /// The value as JSON text, cut to a readable length.
    pub value: Option<String>,
}

/// What a storage engine answers when it cannot do what was asked.
///
/// Semantic, never an engine's own words: those travel as `source` for the log alone.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The schema is not there.
    #[error("the schema {schema} does not exist")]
    SchemaNotFound {
        /// Its name.
        schema: String,
    },
    /// The schema has another version than the one this work was checked against.
    #[error("the schema {schema} has changed meanwhile")]
    SchemaMoved {
        /// Its name.
        schema: String,
    },
    /// The record that an operation changes is not there.
    #[error("operation {operation}: the record does not exist")]
    RecordNotFound {
        /// The index of the operation.
        operation: usize,
    },
    /// The record has another version than the operation expects.
    #[error("operation {operation}: the record has version {current}")]
    VersionMismatch {
        /// The index of the operation.
        operation: usize,
        /// The version it has.
        current: i64,
    },
    /// A record with the same unique values exists, or came twice.
    #[error("a record with the same {} exists", violation.properties.join(", "))]
    UniqueViolation {
        /// Which record, which properties.
        violation: UniqueViolation,
    },
    /// A condition that a transaction asserts does not hold.
    #[error("operation {operation}: the asserted condition does not hold")]
    AssertionFailed {
        /// The index of the operation.
        operation: usize,
    },
    /// Records stand in the way of a change of their schema; nothing was changed.
    #[error("{} records cannot be taken along", .0.examples.len())]
    Incompatible(Box<Incompatible>),
    /// Another write got in the way; the same request may succeed when sent again.
    #[error("the write conflicts with another one")]
    Conflict,
    /// No capacity, or none now. The reason says which.
    #[error("the engine is unavailable: {0}")]
    Unavailable(Unavailable),
    /// The work took longer than it may.
    #[error("the query took longer than it may")]
    Timeout,
    /// No room is left on disk or in memory that the work may use.
    #[error("the storage is full")]
    StorageFull,
    /// What a query found takes more memory than its answer may.
    #[error("the answer takes more than {bytes_max} bytes")]
    AnswerTooLarge {
        /// What it may take.
        bytes_max: u64,
    },
    /// The engine cannot do this, whatever the moment.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A fault of the engine or a bug of ours.
    #[error("the engine failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StorageError {
    /// Wraps a fault that has no meaning to a caller.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }
}

/// Why an engine takes no work now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// Its queue for this kind of work is full.
    Overloaded,
    /// It is being opened again after a fault.
    Reopening,
    /// It is closing.
    Draining,
    /// The connection or the engine was lost during a commit: the write may or may not stand.
    CommitUnknown,
    /// The query needs more memory than queries may use.
    OutOfMemory,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overloaded => "its queue is full",
            Self::Reopening => "it is being reopened",
            Self::Draining => "it is closing",
            Self::CommitUnknown => "the outcome of the commit is not known",
            Self::OutOfMemory => "the query needs more memory than it may use",
        })
    }
}

/// Which record of a request broke uniqueness, and over which properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueViolation {
    /// The index of the record in its request (`StampedBatch::origin`), where known.
    pub index: Option<u64>,
    /// The line on which it starts, where the format has lines and it is known.
    pub line: Option<u64>,
    /// The properties whose values are taken; `["id"]` for the id itself.
    pub properties: Vec<String>,
}
