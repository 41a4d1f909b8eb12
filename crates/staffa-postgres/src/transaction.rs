//! One transaction on one connection, that commits only what is whole.
//!
//! PostgreSQL answers COMMIT of a failed transaction with the tag ROLLBACK, and the driver
//! does not show tags. So a transaction here is poisoned by its first error, and the last
//! statement before COMMIT, the check of the schema versions, fails in a failed one.

use std::future::Future;

use deadpool_postgres::Object;
use tokio_postgres::error::Severity;
use tokio_postgres::types::Type;

use staffa_domain::StorageError;
use staffa_domain::error::Unavailable;

use crate::error;
use crate::pool;

/// The versions that the writes of a transaction were checked against, by name.
pub(crate) type Versions = Vec<(String, u32)>;

const VERSIONS: &str = "SELECT name, version FROM staffa.schemas WHERE current AND name = ANY($1)";
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// Where the log stands just after the commit: it rises with every commit, on every server.
const POSITION: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint";

/// How a commit failed.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// It is rolled back.
    Refused(tokio_postgres::Error),
    /// It may stand or not.
    Unknown,
}

impl From<CommitError> for StorageError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Refused(error) => error::plain(error),
            CommitError::Unknown => Self::Unavailable(Unavailable::CommitUnknown),
        }
    }
}

/// An open transaction. Dropping it closes its connection, and so rolls it back.
#[derive(Debug)]
pub(crate) struct Transaction {
    client: Option<Object>,
    poisoned: bool,
}

impl Transaction {
    /// A transaction that is about to begin: see [`Transaction::begin`].
    pub(crate) const fn new(client: Object) -> Self {
        Self {
            client: Some(client),
            poisoned: false,
        }
    }

    pub(crate) fn client(&self) -> &Object {
        self.client
            .as_ref()
            .expect("the connection is there until the end")
    }

    /// Begins; send it before all else, and await it with what follows.
    pub(crate) fn begin(&self) -> impl Future<Output = Result<(), tokio_postgres::Error>> + '_ {
        self.client().batch_execute(BEGIN)
    }

    /// Marks that a statement failed: only a rollback may follow.
    pub(crate) const fn poison(&mut self) {
        self.poisoned = true;
    }

    /// Reads the stored versions of these schemas. The statement comes after those that
    /// write: from then on a lock keeps their tables from being dropped.
    pub(crate) async fn stored_versions(
        &self,
        names: &[&str],
    ) -> Result<Versions, tokio_postgres::Error> {
        let rows = self
            .client()
            .query_typed(VERSIONS, &[(&names, Type::TEXT_ARRAY)])
            .await?;
        rows.iter()
            .map(|row| {
                let version: i32 = row.try_get(1)?;
                Ok((row.try_get(0)?, version.unsigned_abs()))
            })
            .collect()
    }

    /// Ends it, and answers with the commit's number and the connection.
    pub(crate) async fn commit(mut self) -> Result<(Option<u64>, Object), CommitError> {
        if self.poisoned {
            return Err(CommitError::Unknown);
        }
        let client = self.client();
        let (commit, position) = tokio::join!(
            client.batch_execute("COMMIT"),
            client.query_typed(POSITION, &[]),
        );
        if let Err(error) = commit {
            return Err(commit_error(error));
        }
        let position = position
            .ok()
            .and_then(|rows| rows.first()?.try_get::<_, i64>(0).ok());
        let client = self
            .client
            .take()
            .expect("the connection is there until the end");
        Ok((position.map(i64::unsigned_abs), client))
    }

    /// Undoes it; answers with the connection if that still works.
    pub(crate) async fn roll_back(mut self) -> Option<Object> {
        let client = self.client.take()?;
        match client.batch_execute("ROLLBACK").await {
            Ok(()) => Some(client),
            Err(_) => {
                pool::discard(client);
                None
            }
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            pool::discard(client);
        }
    }
}

/// A server that answers COMMIT with an error has rolled back, unless it was being stopped.
fn commit_error(error: tokio_postgres::Error) -> CommitError {
    let refused = error.as_db_error().is_some_and(|answer| {
        answer.parsed_severity() == Some(Severity::Error) && !error::is_lost(&error)
    });
    if refused {
        CommitError::Refused(error)
    } else {
        CommitError::Unknown
    }
}

/// Compares the stored versions with those that the writes were checked against.
pub(crate) fn check_versions(wanted: &Versions, stored: &Versions) -> Result<(), StorageError> {
    for (name, version) in wanted {
        let schema = name.clone();
        match stored.iter().find(|(stored, _)| stored == name) {
            None => return Err(StorageError::SchemaNotFound { schema }),
            Some((_, found)) if found != version => {
                return Err(StorageError::SchemaMoved { schema });
            }
            Some(_) => {}
        }
    }
    Ok(())
}
