//! The one table from what use cases answer to what the wire says.

use staffa_app::{BodyError, Error};
use staffa_codec::decode::{DecodeError, DecodeErrorCode};
use staffa_codec::document::example_value;
use staffa_codec::question::{QuestionCode, QuestionProblem};
use staffa_domain::change::Incompatible;
use staffa_domain::error::{RecordErrorCode, Unavailable, UniqueViolation};
use staffa_domain::schema::SchemaProblem;
use staffa_domain::{RecordError, StorageError};

use super::{Cause, Code, Problem, escape};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::SchemaNotFound(name) => {
                Self::new(Code::SCHEMA_NOT_FOUND, format!("there is no schema {name}"))
            }
            Error::RecordNotFound => Self::new(Code::RECORD_NOT_FOUND, "there is no such record"),
            Error::Malformed(error) => malformed(error),
            Error::Body(error) => broken_body(&error),
            Error::Question(problem) => problem.into(),
            Error::Invalid { errors } => invalid(errors),
            Error::Refused { errors } => refused(errors),
            Error::SchemaInvalid(problems) => invalid_schema(problems),
            Error::CursorMismatch => Self::new(
                Code::CURSOR_MISMATCH,
                "the cursor was made for another filter, order or schema version, or is damaged",
            ),
            Error::UniqueViolation(violation) => taken(&violation),
            Error::VersionMismatch { current } => Self::new(
                Code::VERSION_MISMATCH,
                format!("the record has version {current}, which If-Match does not name"),
            ),
            Error::UnsupportedChange(problems) => unsupported_change(problems),
            Error::SchemaVersionMismatch { current } => Self::new(
                Code::VERSION_MISMATCH,
                match current {
                    0 => "there is no such schema, which the request insists on".to_owned(),
                    current => {
                        format!("the schema has version {current}, which the request rules out")
                    }
                },
            ),
            Error::TooManyAffected { found, most } => {
                let detail = format!(
                    "{found} records match, and {most} may be changed at a time; nothing was done"
                );
                Self::new(Code::TOO_MANY_AFFECTED, detail)
            }
            Error::KeyInProgress => Self::new(
                Code::IDEMPOTENCY_IN_PROGRESS,
                "a request with this Idempotency-Key has not ended yet",
            )
            .retry_after(1),
            Error::KeyMismatch => Self::new(
                Code::IDEMPOTENCY_MISMATCH,
                "the Idempotency-Key was used for another request",
            ),
            Error::JobNotFound => Self::new(Code::JOB_NOT_FOUND, "there is no such job"),
            Error::JobErrorsElsewhere => Self::new(
                Code::JOB_NOT_FOUND,
                "the errors of this job are with the server that ran it, or were lost with it",
            ),
            Error::JobUnderWay => {
                let detail = "the job has not ended yet; its errors are told once it has";
                Self::new(Code::CONFLICT, detail).retry_after(1)
            }
            Error::JobGoesOn => {
                let detail = "a change of a schema that has begun is carried out, and cannot be \
                              cancelled";
                Self::new(Code::CONFLICT, detail).retry_after(1)
            }
            Error::TooLarge(message) => Self::new(Code::PAYLOAD_TOO_LARGE, message).close(),
            Error::InOperation {
                operation,
                member,
                source,
            } => Self::from(*source).within(&format!("/operations/{operation}{member}")),
            Error::Storage(error) => error.into(),
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::SchemaMoved { schema } => Self::new(
                Code::SCHEMA_MOVED,
                format!("the schema {schema} changed while the request was under way"),
            ),
            StorageError::Incompatible(found) => incompatible(&found),
            StorageError::Conflict => Self::new(
                Code::CONFLICT,
                "another write got in the way; send the request again",
            ),
            StorageError::AssertionFailed { operation } => {
                let detail = format!("the condition of operation {operation} does not hold");
                // Nothing got in the way that would pass by itself.
                Self::new(Code::CONFLICT, detail).retryable(false)
            }
            StorageError::Unavailable(reason) => unavailable(reason),
            StorageError::Timeout => {
                Self::new(Code::QUERY_TIMEOUT, "the query took longer than it may")
            }
            StorageError::StorageFull => {
                Self::new(Code::STORAGE_FULL, "no room is left; nothing was stored")
            }
            StorageError::AnswerTooLarge { bytes_max } => Self::new(
                Code::PAYLOAD_TOO_LARGE,
                format!(
                    "the records that were found take more than {bytes_max} bytes: ask for fewer at \
                     a time, for fewer of their properties, or stream them"
                ),
            ),
            StorageError::Unsupported(message) => Self::new(Code::UNSUPPORTED_CHANGE, message),
            StorageError::Internal(source) => Self::internal(chain(source.as_ref())),
            special @ (StorageError::SchemaNotFound { .. }
            | StorageError::RecordNotFound { .. }
            | StorageError::VersionMismatch { .. }
            | StorageError::UniqueViolation { .. }) => Error::from(special).into(),
        }
    }
}

impl From<QuestionProblem> for Problem {
    fn from(problem: QuestionProblem) -> Self {
        let code = match problem.code {
            QuestionCode::InvalidParameter => Code::INVALID_PARAMETER,
            QuestionCode::UnknownField => Code::UNKNOWN_FIELD,
            QuestionCode::UnknownOperator => Code::UNKNOWN_OPERATOR,
        };
        let cause = Cause::new(problem.pointer, code.as_str(), problem.message.clone());
        Self::new(code, problem.message).with_causes(vec![cause])
    }
}

fn malformed(error: DecodeError) -> Problem {
    let code = match error.code {
        DecodeErrorCode::TooLarge => Code::PAYLOAD_TOO_LARGE,
        DecodeErrorCode::UnknownProperty => Code::VALIDATION_FAILED,
        _ => Code::MALFORMED_JSON,
    };
    let detail = match error.byte {
        Some(byte) => format!("{} (at byte {byte})", error.message),
        None => error.message.clone(),
    };
    let mut cause = Cause::new(error.pointer, error.code.as_str(), error.message);
    cause.index = error.index;
    cause.line = error.line;
    let problem = Problem::new(code, detail).with_causes(vec![cause]);
    if code == Code::PAYLOAD_TOO_LARGE {
        problem.close()
    } else {
        problem
    }
}

fn broken_body(error: &BodyError) -> Problem {
    let code = match error {
        BodyError::Lost => return Problem::internal(error),
        BodyError::NoRoom => return Problem::overloaded(&error.to_string()).close(),
        BodyError::TooLarge { .. } | BodyError::TooMuch { .. } => Code::PAYLOAD_TOO_LARGE,
        BodyError::TimedOut | BodyError::Disconnected => Code::MALFORMED_JSON,
    };
    Problem::new(code, error.to_string()).close()
}

fn invalid(errors: Vec<RecordError>) -> Problem {
    let first = errors.first().map_or_else(String::new, describe);
    let detail = match errors.len() {
        0 | 1 => first,
        many => format!("{many} errors, the first: {first}"),
    };
    let causes = errors.into_iter().map(Cause::from).collect();
    Problem::new(Code::VALIDATION_FAILED, detail).with_causes(causes)
}

/// Records of an atomic write were refused, at least one since its values are taken.
fn refused(errors: Vec<RecordError>) -> Problem {
    let taken = |error: &&RecordError| error.code == RecordErrorCode::UniqueViolation;
    let first = errors.iter().find(taken);
    let detail = first.map_or_else(String::new, |error| error.message.clone());
    let causes = errors.into_iter().map(Cause::from).collect();
    Problem::new(Code::UNIQUE_VIOLATION, detail).with_causes(causes)
}

fn describe(error: &RecordError) -> String {
    let place = match error.pointer.as_str() {
        "" => "the record",
        pointer => pointer,
    };
    format!("{place}: {}", error.message)
}

fn invalid_schema(problems: Vec<SchemaProblem>) -> Problem {
    let causes: Vec<_> = problems
        .into_iter()
        .map(|problem| {
            let code = Code::VALIDATION_FAILED.as_str();
            Cause::new(problem.pointer, code, problem.message)
        })
        .collect();
    let detail = format!("the schema has {} problems", causes.len());
    Problem::new(Code::VALIDATION_FAILED, detail).with_causes(causes)
}

fn unsupported_change(problems: Vec<SchemaProblem>) -> Problem {
    let first = problems
        .first()
        .map_or_else(String::new, |p| p.message.clone());
    let code = Code::UNSUPPORTED_CHANGE;
    let causes = problems
        .into_iter()
        .map(|problem| Cause::new(problem.pointer, code.as_str(), problem.message));
    let causes = causes.collect();
    Problem::new(code, first).with_causes(causes)
}

/// Records in the way of a change, each by its id.
fn incompatible(found: &Incompatible) -> Problem {
    let more = if found.truncated { "more than " } else { "" };
    let count = found.examples.len();
    let detail = format!("{more}{count} values stand in the way of the change; nothing was done");
    let causes = found.examples.iter().map(|example| {
        let pointer = format!("/{}", escape(&example.property));
        let value = serde_json::value::to_raw_value(&example_value(example));
        Cause {
            id: Some(example.id.to_string()),
            property: Some(example.property.clone()),
            value: value.ok(),
            ..Cause::new(pointer, example.code.as_str(), example.message.clone())
        }
    });
    let causes = causes.collect();
    Problem::new(Code::UNSUPPORTED_CHANGE, detail).with_causes(causes)
}

fn taken(violation: &UniqueViolation) -> Problem {
    let names = violation.properties.join(", ");
    let message = format!("a record with the same {names} exists, or came twice");
    let code = RecordErrorCode::UniqueViolation.as_str();
    let causes = violation.properties.iter().map(|name| {
        let mut cause = Cause::new(format!("/{}", escape(name)), code, message.clone());
        cause.index = violation.index;
        cause.line = violation.line;
        cause
    });
    let causes = causes.collect();
    Problem::new(Code::UNIQUE_VIOLATION, message).with_causes(causes)
}

fn unavailable(reason: Unavailable) -> Problem {
    let (code, detail, seconds) = match reason {
        Unavailable::Overloaded => (
            Code::OVERLOADED,
            "the queue for this kind of work is full",
            1,
        ),
        Unavailable::OutOfMemory => (
            Code::OVERLOADED,
            "the query needs more memory than queries may use now",
            5,
        ),
        Unavailable::Reopening => (Code::ENGINE_REOPENING, "the engine is being reopened", 2),
        Unavailable::Draining => (Code::DRAINING, "the server is shutting down", 5),
        Unavailable::CommitUnknown => (
            Code::COMMIT_UNKNOWN,
            "the engine was lost during the commit: look whether the write is there",
            2,
        ),
    };
    Problem::new(code, detail).retry_after(seconds)
}

/// An error and its causes in one line, for the log.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
