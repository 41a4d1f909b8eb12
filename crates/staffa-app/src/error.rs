//! Why a use case did not do what it was asked.

use std::any::Any;

use serde_json::value::RawValue;
use staffa_codec::decode::{DecodeError, TransactionProblem};
use staffa_codec::question::QuestionProblem;
use staffa_domain::error::{Unavailable, UniqueViolation};
use staffa_domain::schema::SchemaProblem;
use staffa_domain::{RecordError, StorageError};

use crate::catalog::StartError;

/// The value of a [`RecordError`] as it is told: as it came, where every JSON reader can take it.
/// One that was cut to a readable length is no JSON any more, and one beyond a double, such as
/// 1e400, breaks readers: both are told as texts.
pub fn value_json(value: &str) -> Option<Box<RawValue>> {
    let is_readable = serde_json::from_str::<serde_json::Value>(value).is_ok();
    match RawValue::from_string(value.to_owned()) {
        Ok(raw) if is_readable => Some(raw),
        _ => serde_json::value::to_raw_value(value).ok(),
    }
}

/// What a panic says.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message")
}

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
    /// Unique values of an atomic write's records are taken.
    #[error("{} errors in the records", errors.len())]
    Refused {
        /// Which, sorted by record, with whatever else the engine refused.
        errors: Vec<RecordError>,
    },
    /// No step leads to what a schema document asks for, or none that is allowed.
    #[error("the schema can't change so: {}", .0.first().map_or_else(String::new, ToString::to_string))]
    UnsupportedChange(Vec<SchemaProblem>),
    /// A schema has another version than the request insists on.
    #[error("the schema has version {current}")]
    SchemaVersionMismatch {
        /// The version it has; zero where it is not there.
        current: u32,
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
    /// A change would concern more records than it may.
    #[error("{found} records match, and at most {most} may be changed")]
    TooManyAffected {
        /// How many match.
        found: u64,
        /// How many may.
        most: u64,
    },
    /// A request with the same idempotency key is under way.
    #[error("a request with this idempotency key is in progress")]
    KeyInProgress,
    /// The idempotency key was given to another request.
    #[error("the idempotency key belongs to another request")]
    KeyMismatch,
    /// There is no such job.
    #[error("the job does not exist")]
    JobNotFound,
    /// The errors of a job are told once it has ended.
    #[error("the job has not ended yet")]
    JobUnderWay,
    /// A change of a schema that has begun is not cancelled.
    #[error("the job has begun to change a schema")]
    JobGoesOn,
    /// The errors of a job are kept by the server that ran it, which is another one.
    #[error("the errors of the job are kept by another server")]
    JobErrorsElsewhere,
    /// The request asks for more than a limit allows.
    #[error("{0}")]
    TooLarge(String),
    /// One operation of a transaction cannot be carried out, and so none is.
    #[error("operation {operation}: {source}")]
    InOperation {
        /// Its place in the list, from zero.
        operation: usize,
        /// The part of it that is to blame, as the end of a JSON pointer; empty for all of it.
        member: &'static str,
        /// Why.
        source: Box<Error>,
    },
    /// The storage engine's answer, where it has no more special meaning.
    #[error(transparent)]
    Storage(StorageError),
}

impl From<TransactionProblem> for Error {
    fn from(problem: TransactionProblem) -> Self {
        match problem {
            TransactionProblem::Text(error) => error.into(),
            TransactionProblem::Form(problem) => problem.into(),
        }
    }
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

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Storage(error) => error.into(),
            other => Self::Storage(StorageError::internal(other)),
        }
    }
}

impl Error {
    /// Whether a schema has another version than the request was checked against.
    pub(crate) fn is_moved(&self) -> bool {
        match self {
            Self::InOperation { source, .. } => source.is_moved(),
            error => matches!(error, Self::Storage(StorageError::SchemaMoved { .. })),
        }
    }

    /// Says which operation of a transaction failed so, and which part of it is to blame.
    pub(crate) fn in_operation(self, operation: usize, member: &'static str) -> Self {
        Self::InOperation {
            operation,
            member,
            source: Box::new(self),
        }
    }

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
            Self::KeyInProgress | Self::JobUnderWay | Self::JobGoesOn => true,
            _ => false,
        }
    }
}
