//! Why a use case did not do what it was asked.

use staffa_codec::decode::DecodeError;
use staffa_codec::question::QuestionProblem;
use staffa_domain::error::{Unavailable, UniqueViolation};
use staffa_domain::schema::SchemaProblem;
use staffa_domain::{RecordError, StorageError};

/// A use case's refusal or failure. Each transport has one table from here to its own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such schema.
    #[error("the schema {0} does not exist")]
    SchemaNotFound(String),
    /// There is no such record.
    #[error("the record does not exist")]
    RecordNotFound,
    /// The body could not be read as what it claims to be.
    #[error("the body could not be decoded: {}", .0.message)]
    Malformed(DecodeError),
    /// The body stopped coming, or the client broke off.
    #[error("the body could not be received: {0}")]
    Body(#[from] crate::body::BodyError),
    /// A filter, order or parameter does not make sense.
    #[error("the question is not valid: {}", .0.message)]
    Question(QuestionProblem),
    /// Records break rules of their schema.
    #[error("{} errors in the records", errors.len())]
    Invalid {
        /// What is wrong, sorted by record.
        errors: Vec<RecordError>,
    },
    /// A schema document breaks rules.
    #[error("{} problems in the schema", .0.len())]
    SchemaInvalid(Vec<SchemaProblem>),
    /// A cursor is of another filter, order or schema version, or was tampered with.
    #[error("the cursor does not belong to this query")]
    CursorMismatch,
    /// Unique values are taken.
    #[error("a record with the same {} exists", .0.properties.join(", "))]
    UniqueViolation(UniqueViolation),
    /// The record has another version than the request insists on.
    #[error("the record has version {current}")]
    VersionMismatch {
        /// The version it has.
        current: i64,
    },
    /// The request asks for more than a limit allows.
    #[error("{0}")]
    TooLarge(String),
    /// The storage engine's answer, where it has no more special meaning.
    #[error(transparent)]
    Storage(StorageError),
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<QuestionProblem> for Error {
    fn from(problem: QuestionProblem) -> Self {
        Self::Question(problem)
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::SchemaNotFound { schema } => Self::SchemaNotFound(schema),
            StorageError::RecordNotFound { .. } => Self::RecordNotFound,
            StorageError::VersionMismatch { current, .. } => Self::VersionMismatch { current },
            StorageError::UniqueViolation { violation } => Self::UniqueViolation(violation),
            other => Self::Storage(other),
        }
    }
}

impl Error {
    /// Whether the same request may succeed when sent again, unchanged.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Storage(error) => match error {
                StorageError::Unavailable(reason) => !matches!(reason, Unavailable::OutOfMemory),
                StorageError::Conflict
                | StorageError::SchemaMoved { .. }
                | StorageError::Timeout
                | StorageError::StorageFull => true,
                _ => false,
            },
            _ => false,
        }
    }
}
