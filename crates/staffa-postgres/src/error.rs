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
    /// The server takes a connection and says nothing.
    #[error("the database does not answer in time")]
    Silent,
    /// The server is too old.
    #[error("the database has version {found}, at least {wanted} is needed")]
    Version {
        /// What it is.
        found: String,
        /// What it must be.
        wanted: u32,
    },
    /// The database keeps text in an encoding that cannot hold all of it.
    #[error("the database has the encoding {0}, and must have UTF8")]
    Encoding(String),
    /// Records are to be spread by Citus, and the database does not have it.
    #[error("the database does not have the extension citus")]
    NoCitus,
    /// Staffa's own schemas cannot be made or read.
    #[error("the schemas staffa and records cannot be laid out in the database")]
    Layout(#[source] tokio_postgres::Error),
    /// A setting cannot be used.
    #[error("the storage cannot be set up")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Maps an error of work on one schema.
pub(crate) fn of_schema(error: tokio_postgres::Error, schema: &SchemaSnapshot) -> StorageError {
    let name = || schema.name().to_owned();
    match error.code() {
        Some(&(SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME)) => {
            StorageError::SchemaNotFound { schema: name() }
        }
        // Values in the form of other types than the columns have.
        Some(
            &(SqlState::UNDEFINED_COLUMN
            | SqlState::DATATYPE_MISMATCH
            | SqlState::PROTOCOL_VIOLATION
            | SqlState::INVALID_BINARY_REPRESENTATION),
        ) => StorageError::SchemaMoved { schema: name() },
        _ => match unique_properties(&error, schema) {
            Some(properties) => StorageError::UniqueViolation {
                violation: UniqueViolation {
                    index: None,
                    line: None,
                    properties,
                },
            },
            None => plain(error),
        },
    }
}

/// The properties whose values are taken, where that is what an error says.
pub(crate) fn unique_properties(
    error: &tokio_postgres::Error,
    schema: &SchemaSnapshot,
) -> Option<Vec<String>> {
    let said = error.as_db_error()?;
    if *said.code() == SqlState::UNIQUE_VIOLATION {
        return names::index_properties(schema, said.constraint()?);
    }
    // What a node refuses of a COPY comes as an internal error, with the node's words alone.
    let copied =
        *said.code() == SqlState::INTERNAL_ERROR && said.routine() == Some("ReportCopyError");
    let mut quoted = said
        .message()
        .split('"')
        .filter(|_| copied)
        .skip(1)
        .step_by(2);
    quoted.find_map(|name| names::index_properties(schema, name))
}

/// Maps an error that concerns no schema.
pub(crate) fn plain(error: tokio_postgres::Error) -> StorageError {
    if is_lost(&error) {
        tracing::debug!(error = %error, "connection lost");
        return StorageError::Unavailable(Unavailable::Reopening);
    }
    match error.code().and_then(of_code) {
        Some(meaning) => meaning,
        None => StorageError::internal(error),
    }
}

/// What a code means to those who asked; none for a fault of the server or of ours.
fn of_code(code: &SqlState) -> Option<StorageError> {
    let unsupported = |what: &str| StorageError::Unsupported(what.to_owned());
    Some(match *code {
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::LOCK_NOT_AVAILABLE => StorageError::Conflict,
        SqlState::QUERY_CANCELED => StorageError::Timeout,
        SqlState::DISK_FULL => StorageError::StorageFull,
        SqlState::OUT_OF_MEMORY | SqlState::CONFIGURATION_LIMIT_EXCEEDED => {
            StorageError::Unavailable(Unavailable::OutOfMemory)
        }
        SqlState::TOO_MANY_CONNECTIONS => StorageError::Unavailable(Unavailable::Overloaded),
        SqlState::PROGRAM_LIMIT_EXCEEDED => unsupported("a value is too long for an index"),
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE => unsupported("a figure is out of range"),
        SqlState::CHARACTER_NOT_IN_REPERTOIRE | SqlState::UNTRANSLATABLE_CHARACTER => {
            unsupported("a text holds a character that cannot be stored")
        }
        _ => return None,
    })
}

/// Whether the connection or the server is gone, or not there yet.
pub(crate) fn is_lost(error: &tokio_postgres::Error) -> bool {
    error.is_closed()
        || match error.code() {
            Some(code) => is_lost_code(code),
            None => has_io_cause(error),
        }
}

fn is_lost_code(code: &SqlState) -> bool {
    matches!(
        *code,
        SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::DATABASE_DROPPED
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
            // A standby that is not, or no longer, the primary.
            | SqlState::READ_ONLY_SQL_TRANSACTION
    ) || code.code().starts_with("08")
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

/// Whether there is no room for what a statement writes.
pub(crate) fn is_full(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::DISK_FULL)
}

/// Whether a statement waited too long for work of others.
pub(crate) fn is_lock_wait(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

/// Whether the same transaction may succeed when it is run again.
pub(crate) fn is_conflict(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&(SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED))
    )
}

/// Whether a cached statement no longer fits the table, as after dropping and making it anew.
pub(crate) fn is_stale_statement(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(&SqlState::INVALID_SQL_STATEMENT_NAME) => true,
        // The code alone says only that something is not supported, and the words are in the
        // server's language; the routine is not.
        Some(&SqlState::FEATURE_NOT_SUPPORTED) => {
            let routine = error.as_db_error().and_then(DbError::routine);
            routine == Some("RevalidateCachedQuery")
        }
        _ => false,
    }
}

/// The row of a COPY, from one, that an error speaks of: `COPY x, line 3, column y`.
pub(crate) fn copy_line(error: &tokio_postgres::Error) -> Option<u64> {
    let context = error.as_db_error().and_then(DbError::where_)?;
    let (_, rest) = context.split_once(", line ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &SqlState, expected: &str) {
        let found = of_code(code).map_or_else(String::new, |error| format!("{error:?}"));
        assert!(
            found.starts_with(expected) && found.is_empty() == expected.is_empty(),
            "{}: {found}",
            code.code()
        );
    }

    #[test]
    fn codes_mean_what_they_say() {
        check(&SqlState::T_R_SERIALIZATION_FAILURE, "Conflict");
        check(&SqlState::T_R_DEADLOCK_DETECTED, "Conflict");
        check(&SqlState::LOCK_NOT_AVAILABLE, "Conflict");
        check(&SqlState::QUERY_CANCELED, "Timeout");
        check(&SqlState::DISK_FULL, "StorageFull");
        check(&SqlState::OUT_OF_MEMORY, "Unavailable(OutOfMemory)");
        check(
            &SqlState::CONFIGURATION_LIMIT_EXCEEDED,
            "Unavailable(OutOfMemory)",
        );
        check(&SqlState::TOO_MANY_CONNECTIONS, "Unavailable(Overloaded)");
        check(&SqlState::PROGRAM_LIMIT_EXCEEDED, "Unsupported");
        check(&SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "Unsupported");
        check(&SqlState::CHARACTER_NOT_IN_REPERTOIRE, "Unsupported");
        // Nothing a caller could do about these.
        check(&SqlState::SYNTAX_ERROR, "");
        check(&SqlState::INSUFFICIENT_PRIVILEGE, "");
        check(&SqlState::INTERNAL_ERROR, "");
    }

    #[test]
    fn codes_of_a_lost_server_are_known() {
        for code in [
            "57P01", "57P02", "57P03", "57P04", "25P03", "25006", "08006",
        ] {
            assert!(is_lost_code(&SqlState::from_code(code)), "{code}");
        }
        for code in ["57014", "40001", "53300", "23505"] {
            assert!(!is_lost_code(&SqlState::from_code(code)), "{code}");
        }
    }
}
