//! From PostgreSQL's errors to the domain's. The server's own words go to the log alone.

use tokio_postgres::error::{DbError, SqlState};

use staffa_domain::error::{Unavailable, UniqueViolation};
use staffa_domain::{SchemaSnapshot, StorageError};

use crate::sql::names;

/// Why a storage could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address cannot be read.
    #[error("the address of the database is not valid")]
    Address(#[source] tokio_postgres::Error),
    /// The certificates for TLS cannot be used.
    #[error("tls cannot be set up: {0}")]
    Tls(String),
    /// The server does not answer or refuses.
    #[error("the database cannot be reached")]
    Connect(#[source] tokio_postgres::Error),
    /// The server is too old.
    #[error("the database has version {found}, at least {wanted} is needed")]
    Version {
        /// What it is.
        found: String,
        /// What it must be.
        wanted: u32,
    },
    /// A setting cannot be used.
    #[error("the storage cannot be set up")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Maps an error of work on one schema.
pub(crate) fn of_schema(error: tokio_postgres::Error, schema: &SchemaSnapshot) -> StorageError {
    let name = || schema.name().to_owned();
    match error.code() {
        Some(&SqlState::UNDEFINED_TABLE) => StorageError::SchemaNotFound { schema: name() },
        Some(&SqlState::UNDEFINED_COLUMN | &SqlState::DATATYPE_MISMATCH) => {
            StorageError::SchemaMoved { schema: name() }
        }
        Some(&SqlState::UNIQUE_VIOLATION) => match unique_properties(&error, schema) {
            Some(properties) => StorageError::UniqueViolation {
                violation: UniqueViolation {
                    index: None,
                    properties,
                },
            },
            None => StorageError::internal(error),
        },
        _ => plain(error),
    }
}

fn unique_properties(
    error: &tokio_postgres::Error,
    schema: &SchemaSnapshot,
) -> Option<Vec<String>> {
    let index = error.as_db_error().and_then(DbError::constraint)?;
    names::index_properties(schema, index)
}

/// Maps an error that concerns no schema.
pub(crate) fn plain(error: tokio_postgres::Error) -> StorageError {
    if is_lost(&error) {
        tracing::debug!(error = %error, "connection lost");
        return StorageError::Unavailable(Unavailable::Reopening);
    }
    let Some(code) = error.code() else {
        return StorageError::internal(error);
    };
    match *code {
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::LOCK_NOT_AVAILABLE => StorageError::Conflict,
        SqlState::QUERY_CANCELED => StorageError::Timeout,
        SqlState::DISK_FULL => StorageError::StorageFull,
        SqlState::OUT_OF_MEMORY | SqlState::CONFIGURATION_LIMIT_EXCEEDED => {
            StorageError::Unavailable(Unavailable::OutOfMemory)
        }
        SqlState::TOO_MANY_CONNECTIONS => StorageError::Unavailable(Unavailable::Overloaded),
        SqlState::PROGRAM_LIMIT_EXCEEDED => {
            StorageError::Unsupported("a value is too long for an index".to_owned())
        }
        _ => StorageError::internal(error),
    }
}

/// Whether the connection or the server is gone, or not there yet.
pub(crate) fn is_lost(error: &tokio_postgres::Error) -> bool {
    if error.is_closed() {
        return true;
    }
    match error.code() {
        Some(code) => {
            *code == SqlState::ADMIN_SHUTDOWN
                || *code == SqlState::CRASH_SHUTDOWN
                || *code == SqlState::CANNOT_CONNECT_NOW
                || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
                || code.code().starts_with("08")
        }
        None => has_io_cause(error),
    }
}

fn has_io_cause(error: &tokio_postgres::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        if next.is::<std::io::Error>() {
            return true;
        }
        cause = next.source();
    }
    false
}

/// Whether the same transaction may succeed when it is run again.
pub(crate) fn is_conflict(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED)
    )
}

/// Whether a cached statement no longer fits the table, as after dropping and making it anew.
pub(crate) fn is_stale_statement(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::FEATURE_NOT_SUPPORTED | &SqlState::INVALID_SQL_STATEMENT_NAME)
    )
}

/// The row of a COPY, from one, that an error speaks of: `COPY x, line 3, column y`.
pub(crate) fn copy_line(error: &tokio_postgres::Error) -> Option<u64> {
    let context = error.as_db_error().and_then(DbError::where_)?;
    let (_, rest) = context.split_once(", line ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}
