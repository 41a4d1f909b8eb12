//! One transaction on one connection, that commits only what is whole.
//!
//! PostgreSQL answers COMMIT of a failed transaction with the tag ROLLBACK, and the driver
//! does not show tags. So a transaction here is poisoned by its first error, and the last
//! statement before COMMIT, the check of the schema versions, fails in a failed one.

use std::time::Duration;

use tokio_postgres::error::Severity;
use tokio_postgres::types::Type;

use staffa_domain::StorageError;
use staffa_domain::error::Unavailable;

use crate::error;
use crate::options::Distribution;
use crate::pool::Connection;

/// The versions that the writes of a transaction were checked against, by name.
pub(crate) type Versions = Vec<(String, u32)>;

const VERSIONS: &str = "SELECT name, version FROM staffa.schemas WHERE current AND name = ANY($1)";
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// What a session is told once does not reach the nodes of a cluster; what a transaction is
/// told does.
const BEGIN_SPREAD: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
     SET LOCAL citus.propagate_set_commands = 'local'; SET LOCAL synchronous_commit = 'on'";
/// Where the log stands just after the commit: it rises with every commit, on every server.
const POSITION: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint";
/// How long the answer to a ROLLBACK is waited for: closing the connection does it as well.
const ROLL_BACK_PATIENCE: Duration = Duration::from_secs(5);

/// How a commit failed.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// It is rolled back.
    Refused(tokio_postgres::Error),
    /// A statement had failed before, and no COMMIT was sent.
    Poisoned,
    /// It may stand or not.
    Unknown,
}

impl From<CommitError> for StorageError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Refused(error) => error::plain(error),
            CommitError::Poisoned => Self::internal("a failed transaction was to be committed"),
            CommitError::Unknown => Self::Unavailable(Unavailable::CommitUnknown),
        }
    }
}

/// An open transaction. Dropping it closes its connection, and so rolls it back.
#[derive(Debug)]
pub(crate) struct Transaction {
    client: Option<Connection>,
    begin: &'static str,
    poisoned: bool,
}

impl Transaction {
    /// A transaction that is about to begin: see [`Transaction::begin`].
    pub(crate) const fn new(client: Connection, distribution: Distribution) -> Self {
        Self {
            client: Some(client),
            begin: match distribution {
                Distribution::None => BEGIN,
                Distribution::Citus => BEGIN_SPREAD,
            },
            poisoned: false,
        }
    }

    pub(crate) fn client(&self) -> &Connection {
        self.client
            .as_ref()
            .expect("the connection is there until the end")
    }

    /// Begins; send it before all else, and await it with what follows. A `hasty` one waits
    /// hardly at all for locks of others.
    pub(crate) async fn begin(&self, hasty: bool) -> Result<(), tokio_postgres::Error> {
        if !hasty {
            return self.client().batch_execute(self.begin).await;
        }
        let begin = format!("{}; SET LOCAL lock_timeout = 100", self.begin);
        self.client().batch_execute(&begin).await
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

    /// Ends it, and answers with the commit's number. A server that has not answered after
    /// `patience` may have committed all the same, as one that waits for a standby.
    pub(crate) async fn commit(mut self, patience: Duration) -> Result<Option<u64>, CommitError> {
        if self.poisoned {
            return Err(CommitError::Poisoned);
        }
        let client = self.client();
        // Both are sent at once, so that the number costs no round trip.
        let ending = async {
            tokio::join!(
                client.batch_execute("COMMIT"),
                client.query_typed(POSITION, &[]),
            )
        };
        let Ok((commit, position)) = tokio::time::timeout(patience, ending).await else {
            tracing::warn!("a commit was not answered in time; its outcome is not known");
            return Err(CommitError::Unknown);
        };
        commit.map_err(commit_error)?;
        // From here on the connection goes back instead of being closed.
        drop(self.client.take());
        let position = position
            .ok()
            .and_then(|rows| rows.first()?.try_get::<_, i64>(0).ok());
        Ok(position.map(i64::unsigned_abs))
    }

    /// Undoes it; answers with the connection if that still works.
    pub(crate) async fn roll_back(mut self) -> Option<Connection> {
        let client = self.client.take()?;
        let undone = client.batch_execute("ROLLBACK");
        match tokio::time::timeout(ROLL_BACK_PATIENCE, undone).await {
            Ok(Ok(())) => Some(client),
            _ => {
                client.discard();
                None
            }
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            client.discard();
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
