//! One try to carry out a plan in one transaction, in two round trips: all statements at
//! once, then COMMIT.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use staffa_domain::StorageError;
use staffa_domain::error::Unavailable;

use crate::copy::references;
use crate::error;
use crate::lane::plan::{Plan, Step, Work};
use crate::lane::statement::{self, Expects, Statement};
use crate::options::Distribution;
use crate::pool::Connection;
use crate::sql::names;
use crate::transaction::{CommitError, Transaction, Versions, check_versions};

/// How many statements travel together.
const PIPELINE: usize = 24;

const SAVE: &str = "SAVEPOINT creates";
const BACK: &str = "ROLLBACK TO SAVEPOINT creates";

/// Why a try failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection was lost before COMMIT was sent: nothing is kept.
    Lost,
    /// A prepared statement did not fit any more: prepared anew it may.
    Stale,
    /// Another transaction got in the way.
    Conflict,
    /// Another transaction was in the way for too long.
    Locked,
    /// An operation failed; the error is exact only if each had its own step.
    Operation(StorageError),
    /// Nothing to do with one operation.
    Other(StorageError),
    /// COMMIT was sent and not answered.
    Unknown,
}

impl From<Failure> for StorageError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost => Self::Unavailable(Unavailable::Reopening),
            Failure::Stale | Failure::Conflict | Failure::Locked => Self::Conflict,
            Failure::Operation(error) | Failure::Other(error) => error,
            Failure::Unknown => Self::Unavailable(Unavailable::CommitUnknown),
        }
    }
}

impl Failure {
    /// What is wrong with the database, where that is it: it says nothing of the operations,
    /// and would say the same of each.
    pub(super) const fn of_the_database(&self) -> Option<Unavailable> {
        match self {
            Self::Lost => Some(Unavailable::Reopening),
            Self::Unknown => Some(Unavailable::CommitUnknown),
            Self::Other(StorageError::Unavailable(
                why @ (Unavailable::Reopening | Unavailable::Overloaded | Unavailable::Draining),
            )) => Some(*why),
            _ => None,
        }
    }
}

/// How a try is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) distribution: Distribution,
    /// How long the server may take for a statement, which it knows, and for the commit.
    pub(super) patience: Duration,
    /// Whether to wait hardly at all for work of others.
    pub(super) hasty: bool,
}

/// A try on a connection.
pub(super) struct Attempt<'a> {
    transaction: Transaction,
    plan: &'a Plan<'a>,
    terms: Terms,
}

/// A statement, and what the connection has kept of it. Assertions differ too much to keep.
type Prepared = (Statement, Option<tokio_postgres::Statement>);

impl<'a> Attempt<'a> {
    pub(super) const fn new(client: Connection, plan: &'a Plan<'a>, terms: Terms) -> Self {
        Self {
            transaction: Transaction::new(client, terms.distribution),
            plan,
            terms,
        }
    }

    /// Carries out the plan; answers with the commit's number where it is known.
    pub(super) async fn run(mut self) -> Result<Option<u64>, Failure> {
        let patience = self.terms.patience;
        // The server keeps time as well, and first; this is for one that hangs.
        let written = tokio::time::timeout(patience * 2, self.write()).await;
        match written.unwrap_or(Err(Failure::Other(StorageError::Timeout))) {
            Ok(()) => match self.transaction.commit(patience).await {
                Ok(commit) => Ok(commit),
                Err(CommitError::Refused(error)) => Err(refused(error)),
                Err(CommitError::Unknown) => Err(Failure::Unknown),
                Err(error @ CommitError::Poisoned) => Err(Failure::Other(error.into())),
            },
            Err(Failure::Lost) => Err(Failure::Lost),
            Err(failure) => {
                self.transaction.poison();
                if let Some(client) = self.transaction.roll_back().await
                    && matches!(failure, Failure::Stale)
                {
                    client.statement_cache.clear();
                }
                Err(failure)
            }
        }
    }

    async fn write(&self) -> Result<(), Failure> {
        let mut prepared = Vec::with_capacity(self.plan.steps.len());
        for step in &self.plan.steps {
            prepared.push(self.prepare(step).await?);
        }
        let mut begun = false;
        let mut work: Vec<(&Step<'_>, Prepared)> = self.plan.steps.iter().zip(prepared).collect();
        while !work.is_empty() || !begun {
            let rest = work.split_off(work.len().min(PIPELINE));
            let last = rest.is_empty();
            self.send(&work, (!begun, last)).await?;
            begun = true;
            work = rest;
        }
        Ok(())
    }

    async fn prepare(&self, step: &Step<'_>) -> Result<Prepared, Failure> {
        let statement =
            statement::of_step(step, self.terms.distribution).map_err(|error| match error {
                StorageError::Unsupported(_) => Failure::Operation(error),
                other => Failure::Other(other),
            })?;
        let kinds: Vec<Type> = statement
            .params
            .iter()
            .map(|it| it.kind().clone())
            .collect();
        if matches!(step.work, Work::Assert(..)) {
            return Ok((statement, None));
        }
        let client = self.transaction.client();
        match client.prepare_typed_cached(&statement.sql, &kinds).await {
            Ok(prepared) => Ok((statement, Some(prepared))),
            Err(error) => Err(failed(error, step)),
        }
    }

    /// Sends statements without waiting between them, with BEGIN before the first and the
    /// check of the versions after the last.
    async fn send(
        &self,
        work: &[(&Step<'_>, Prepared)],
        (first, last): (bool, bool),
    ) -> Result<(), Failure> {
        let client = self.transaction.client();
        let begin = async {
            if first {
                self.transaction.begin(self.terms.hasty).await
            } else {
                Ok(())
            }
        };
        let statements = join_all(work.iter().map(|(step, (statement, prepared))| async move {
            let query = self.ask(statement, prepared.as_ref());
            if !self.is_guarded(step) {
                return query.await;
            }
            // Both are sent before either is answered, so that all keep their order.
            let (saved, rows) = tokio::join!(client.batch_execute(SAVE), query);
            rows.and_then(|rows| saved.map(|()| rows))
        }));
        let names: Vec<&str> = self
            .plan
            .schemas
            .iter()
            .map(|schema| schema.name())
            .collect();
        let versions = async {
            if last {
                self.transaction.stored_versions(&names).await.map(Some)
            } else {
                Ok(None)
            }
        };
        let (begin, answers, versions) = tokio::join!(begin, statements, versions);
        begin.map_err(not_begun)?;
        // A schema that moved explains whatever else failed.
        if let Ok(Some(stored)) = &versions {
            check_versions(&self.wanted(), stored).map_err(Failure::Other)?;
        }
        for ((step, (statement, _)), answer) in work.iter().zip(answers) {
            let rows = match answer {
                Ok(rows) => rows,
                Err(error) => return Err(self.located(failed(error, step), step).await),
            };
            self.check(step, statement.expects, &rows).await?;
        }
        versions.map_err(not_begun)?;
        Ok(())
    }

    async fn ask(
        &self,
        statement: &Statement,
        prepared: Option<&tokio_postgres::Statement>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let client = self.transaction.client();
        let params = &statement.params;
        if let Some(prepared) = prepared {
            return client.query(prepared, &references(params)).await;
        }
        let typed = params
            .iter()
            .map(|param| (param as &(dyn ToSql + Sync), param.kind().clone()));
        let typed: Vec<_> = typed.collect();
        client.query_typed(&statement.sql, &typed).await
    }

    /// Whether a failure of the step must be looked into, and so must not end all.
    fn is_guarded(&self, step: &Step<'_>) -> bool {
        self.plan.exact && matches!(&step.work, Work::Create(_)) && step.origins().len() > 1
    }

    /// Finds out which of a step's records took a unique value: the first that is left out
    /// when the taken ones are.
    async fn located(&self, failure: Failure, step: &Step<'_>) -> Failure {
        let Failure::Operation(StorageError::UniqueViolation { mut violation }) = failure else {
            return failure;
        };
        let origins = step.origins();
        violation.index = match origins[..] {
            [only] => Some(only),
            _ if self.is_guarded(step) => match self.first_left_out(step).await {
                Ok(place) => place.and_then(|place| origins.get(place).copied()),
                Err(failure) => return failure,
            },
            _ => None,
        };
        Failure::Operation(StorageError::UniqueViolation { violation })
    }

    async fn first_left_out(&self, step: &Step<'_>) -> Result<Option<usize>, Failure> {
        let client = self.transaction.client();
        let statement = statement::create_what_is_free(step).map_err(Failure::Other)?;
        let back = client.batch_execute(BACK).await;
        back.map_err(|error| failed(error, step))?;
        let rows = self.ask(&statement, None).await;
        let rows = rows.map_err(|error| failed(error, step))?;
        let mut kept: HashSet<uuid::Uuid> =
            rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
        let ids = step.created_ids();
        Ok(ids
            .into_iter()
            .position(|id| !kept.remove(&uuid::Uuid::from(id))))
    }

    fn wanted(&self) -> Versions {
        let schemas = self.plan.schemas.iter();
        schemas
            .map(|schema| (schema.name().to_owned(), schema.version()))
            .collect()
    }

    async fn check(&self, step: &Step<'_>, expects: Expects, rows: &[Row]) -> Result<(), Failure> {
        match expects {
            Expects::Nothing => Ok(()),
            Expects::Rows(count) if rows.len() == count => Ok(()),
            Expects::Rows(_) => Err(self.missing(step).await),
            Expects::Answer(wanted) => {
                let found = rows.first().and_then(|row| row.try_get::<_, bool>(0).ok());
                if found == Some(wanted) {
                    return Ok(());
                }
                Err(Failure::Operation(StorageError::AssertionFailed {
                    operation: step.operation,
                }))
            }
        }
    }

    /// A record was not found, or not in the expected version: which of the two it is.
    /// Right for a step of one operation; a step of several is taken apart anyway.
    async fn missing(&self, step: &Step<'_>) -> Failure {
        let operation = step.operation;
        let record = match &step.work {
            Work::Replace(changes) => changes
                .first()
                .map(|change| (change.id, Some(change.expected))),
            Work::Delete(deletes) => deletes.first().copied(),
            Work::Create(_) | Work::Assert(..) => None,
        };
        let Some((id, expected)) = record else {
            return Failure::Operation(StorageError::RecordNotFound { operation });
        };
        let sql = format!(
            "SELECT version FROM {} WHERE id = $1",
            names::table(step.schema)
        );
        let id = uuid::Uuid::from(id);
        let client = self.transaction.client();
        let rows = match client.query_typed(&sql, &[(&id, Type::UUID)]).await {
            Ok(rows) => rows,
            Err(error) => return failed(error, step),
        };
        match rows.first().and_then(|row| row.try_get::<_, i64>(0).ok()) {
            // A record cannot move to another shard.
            Some(current)
                if Some(current) == expected && step.schema.schema().distributed_by.is_some() =>
            {
                let message = "the property that distributes the records cannot be changed";
                Failure::Operation(StorageError::Unsupported(message.to_owned()))
            }
            Some(current) => {
                Failure::Operation(StorageError::VersionMismatch { operation, current })
            }
            None => Failure::Operation(StorageError::RecordNotFound { operation }),
        }
    }
}

fn not_begun(error: tokio_postgres::Error) -> Failure {
    if error::is_lost(&error) {
        Failure::Lost
    } else {
        Failure::Other(error::plain(error))
    }
}

fn refused(error: tokio_postgres::Error) -> Failure {
    if error::is_conflict(&error) {
        Failure::Conflict
    } else {
        Failure::Other(error::plain(error))
    }
}

/// Sorts out why a statement failed.
fn failed(error: tokio_postgres::Error, step: &Step<'_>) -> Failure {
    if error::is_lost(&error) {
        return Failure::Lost;
    }
    if error::is_conflict(&error) {
        return Failure::Conflict;
    }
    if error::is_lock_wait(&error) {
        return Failure::Locked;
    }
    if error::is_stale_statement(&error) {
        return Failure::Stale;
    }
    Failure::Operation(error::of_schema(error, step.schema))
}
