//! How an operation of a port ended, as the label `outcome` says it.

use staffa_domain::StorageError;
use staffa_domain::error::Unavailable;

/// One for each meaning that a storage error can have, and two for no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It did what was asked.
    Done,
    /// It was dropped before its end: a query nobody waits for, a write rolled back.
    Cancelled,
    SchemaNotFound,
    SchemaMoved,
    RecordNotFound,
    VersionMismatch,
    UniqueViolation,
    AssertionFailed,
    Conflict,
    Overloaded,
    Reopening,
    Draining,
    CommitUnknown,
    OutOfMemory,
    Timeout,
    StorageFull,
    AnswerTooLarge,
    Unsupported,
    Internal,
}

impl Ending {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Internal as usize + 1;

    pub(super) const fn of<T>(result: &Result<T, StorageError>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(error) => Self::of_error(error),
        }
    }

    pub(super) const fn of_error(error: &StorageError) -> Self {
        match error {
            StorageError::SchemaNotFound { .. } => Self::SchemaNotFound,
            StorageError::SchemaMoved { .. } => Self::SchemaMoved,
            StorageError::RecordNotFound { .. } => Self::RecordNotFound,
            StorageError::VersionMismatch { .. } => Self::VersionMismatch,
            StorageError::UniqueViolation { .. } => Self::UniqueViolation,
            StorageError::AssertionFailed { .. } => Self::AssertionFailed,
            StorageError::Conflict => Self::Conflict,
            StorageError::Unavailable(Unavailable::Overloaded) => Self::Overloaded,
            StorageError::Unavailable(Unavailable::Reopening) => Self::Reopening,
            StorageError::Unavailable(Unavailable::Draining) => Self::Draining,
            StorageError::Unavailable(Unavailable::CommitUnknown) => Self::CommitUnknown,
            StorageError::Unavailable(Unavailable::OutOfMemory) => Self::OutOfMemory,
            StorageError::Timeout => Self::Timeout,
            StorageError::StorageFull => Self::StorageFull,
            StorageError::AnswerTooLarge { .. } => Self::AnswerTooLarge,
            StorageError::Unsupported(_) | StorageError::Incompatible(_) => Self::Unsupported,
            StorageError::Internal(_) => Self::Internal,
        }
    }

    /// The label's value.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Cancelled => "cancelled",
            Self::SchemaNotFound => "schema_not_found",
            Self::SchemaMoved => "schema_moved",
            Self::RecordNotFound => "record_not_found",
            Self::VersionMismatch => "version_mismatch",
            Self::UniqueViolation => "unique_violation",
            Self::AssertionFailed => "assertion_failed",
            Self::Conflict => "conflict",
            Self::Overloaded => "overloaded",
            Self::Reopening => "reopening",
            Self::Draining => "draining",
            Self::CommitUnknown => "commit_unknown",
            Self::OutOfMemory => "out_of_memory",
            Self::Timeout => "timeout",
            Self::StorageFull => "storage_full",
            Self::AnswerTooLarge => "answer_too_large",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }
}
