//! A transaction that poisons itself: after an error the engine's COMMIT would answer
//! success and store nothing, so only a rollback is permitted then.

use duckdb::Connection;

use crate::error::{Class, Fault};

/// How a failed commit left the data.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// Nothing is stored; the work may be done again.
    RolledBack(Fault),
    /// It may or may not be stored.
    Unknown(Fault),
}

/// A commit that stands, and whether the engine survived it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Committed {
    /// All is well.
    Good,
    /// The data is durable, but the engine must be opened again.
    EngineLost,
}

/// An open transaction. Dropping it rolls back.
#[derive(Debug)]
pub(crate) struct Transaction<'c> {
    connection: &'c Connection,
    open: bool,
    poisoned: bool,
}

impl<'c> Transaction<'c> {
    /// Begins.
    pub(crate) fn begin(connection: &'c Connection) -> Result<Self, Fault> {
        connection.execute_batch("BEGIN TRANSACTION")?;
        Ok(Self {
            connection,
            open: true,
            poisoned: false,
        })
    }

    /// Does some work; an error of it ends the transaction's hopes.
    pub(crate) fn run<T>(
        &mut self,
        work: impl FnOnce(&'c Connection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.poisoned {
            return Err(Fault::bug("the transaction has failed before"));
        }
        let result = work(self.connection);
        self.poisoned = result.is_err();
        result
    }

    /// Ends it for good.
    pub(crate) fn commit(mut self) -> Result<Committed, CommitError> {
        if self.poisoned {
            let fault = Fault::bug("a failed transaction cannot be committed");
            return Err(CommitError::RolledBack(fault));
        }
        // Whatever COMMIT answers, no transaction is open after it.
        self.open = false;
        let Err(error) = self.connection.execute_batch("COMMIT") else {
            return Ok(Committed::Good);
        };
        let fault = Fault::from(error);
        if fault.class == Class::DurableButInvalid {
            tracing::error!(error = %fault, "the commit stands, but its checkpoint failed");
            return Ok(Committed::EngineLost);
        }
        if fault.text.starts_with("TransactionContext Error") || fault.class == Class::Constraint {
            return Err(CommitError::RolledBack(fault));
        }
        tracing::error!(error = %fault, "the outcome of a commit is not known");
        Err(CommitError::Unknown(fault))
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "a rollback failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;

    use super::{CommitError, Transaction};
    use crate::error::Fault;

    #[test]
    fn a_failed_statement_permits_only_a_rollback() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t (k BIGINT PRIMARY KEY)")
            .unwrap();
        let mut transaction = Transaction::begin(&connection).unwrap();
        let insert = |connection: &Connection| -> Result<(), Fault> {
            Ok(connection.execute_batch("INSERT INTO t VALUES (1)")?)
        };
        transaction.run(insert).unwrap();
        transaction.run(insert).unwrap_err();
        let outcome = transaction.commit();
        assert!(
            matches!(outcome, Err(CommitError::RolledBack(_))),
            "{outcome:?}"
        );
        let mut again = Transaction::begin(&connection).unwrap();
        again.run(insert).unwrap();
        again.commit().unwrap();
    }

    #[test]
    fn dropping_rolls_back() {
        let connection = Connection::open_in_memory().unwrap();
        let mut transaction = Transaction::begin(&connection).unwrap();
        transaction
            .run(|connection| Ok(connection.execute_batch("CREATE TABLE t (k BIGINT)")?))
            .unwrap();
        drop(transaction);
        connection
            .execute_batch("CREATE TABLE t (k BIGINT)")
            .unwrap();
    }
}
