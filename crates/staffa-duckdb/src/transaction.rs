//! A transaction that poisons itself: after an error the engine's COMMIT would answer
//! success and store nothing, so only a rollback is permitted then.

use crate::engine::Link;
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
    link: &'c Link,
    open: bool,
    poisoned: bool,
}

impl<'c> Transaction<'c> {
    /// Begins.
    pub(crate) fn begin(link: &'c Link) -> Result<Self, Fault> {
        link.execute_batch("BEGIN TRANSACTION")?;
        Ok(Self {
            link,
            open: true,
            poisoned: false,
        })
    }

    /// Does some work; an error of it ends the transaction's hopes.
    pub(crate) fn run<T>(
        &mut self,
        work: impl FnOnce(&'c Link) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.poisoned {
            return Err(Fault::bug("the transaction has failed before"));
        }
        let result = work(self.link);
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
        let committed = self.link.execute_batch("COMMIT");
        judge(committed.map_err(Fault::from), |class| {
            class == Class::Constraint
        })
    }
}

/// Does work that is one statement, which commits itself: a transaction around it would be two
/// more statements, and a short write is not much more than those.
pub(crate) fn at_once(
    link: &Link,
    work: impl FnOnce(&Link) -> Result<(), Fault>,
) -> Result<Committed, CommitError> {
    // The engine wraps what fails within a commit, unless it is fatal; anything else failed
    // before it, and was rolled back.
    judge(work(link), |class| class != Class::Fatal)
}

/// What the answer to a commit says of the data.
fn judge(
    committed: Result<(), Fault>,
    is_rolled_back: impl FnOnce(Class) -> bool,
) -> Result<Committed, CommitError> {
    let Err(fault) = committed else {
        return Ok(Committed::Good);
    };
    if fault.class == Class::DurableButInvalid {
        tracing::error!(error = %fault, "the commit stands, but its checkpoint failed");
        return Ok(Committed::EngineLost);
    }
    if fault.text.starts_with("TransactionContext Error") || is_rolled_back(fault.class) {
        return Err(CommitError::RolledBack(fault));
    }
    tracing::error!(error = %fault, "the outcome of a commit is not known");
    Err(CommitError::Unknown(fault))
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open
            && let Err(error) = self.link.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "a rollback failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CommitError, Committed, Transaction, at_once};
    use crate::engine::Link;
    use crate::error::Fault;

    #[test]
    fn a_failed_statement_permits_only_a_rollback() {
        let link = Link::in_memory();
        link.execute_batch("CREATE TABLE t (k BIGINT PRIMARY KEY)")
            .unwrap();
        let mut transaction = Transaction::begin(&link).unwrap();
        let insert = |link: &Link| -> Result<(), Fault> {
            Ok(link.execute_batch("INSERT INTO t VALUES (1)")?)
        };
        transaction.run(insert).unwrap();
        transaction.run(insert).unwrap_err();
        let outcome = transaction.commit();
        assert!(
            matches!(outcome, Err(CommitError::RolledBack(_))),
            "{outcome:?}"
        );
        let mut again = Transaction::begin(&link).unwrap();
        again.run(insert).unwrap();
        again.commit().unwrap();
    }

    #[test]
    fn a_statement_that_commits_itself_stands_or_is_rolled_back() {
        let link = Link::in_memory();
        link.execute_batch("CREATE TABLE t (k BIGINT PRIMARY KEY)")
            .unwrap();
        let insert = |link: &Link| Ok(link.execute_batch("INSERT INTO t SELECT * FROM range(3)")?);
        assert_eq!(at_once(&link, insert).unwrap(), Committed::Good);
        let again = at_once(&link, insert);
        assert!(
            matches!(again, Err(CommitError::RolledBack(_))),
            "{again:?}"
        );
        let lost = at_once(&link, |_| Err(Fault::of("FATAL Error: the disk is gone")));
        assert!(matches!(lost, Err(CommitError::Unknown(_))), "{lost:?}");
        Transaction::begin(&link).unwrap();
    }

    #[test]
    fn dropping_rolls_back() {
        let link = Link::in_memory();
        let mut transaction = Transaction::begin(&link).unwrap();
        transaction
            .run(|link| Ok(link.execute_batch("CREATE TABLE t (k BIGINT)")?))
            .unwrap();
        drop(transaction);
        link.execute_batch("CREATE TABLE t (k BIGINT)").unwrap();
    }
}
