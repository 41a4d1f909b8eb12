//! Group commit: many requests, one transaction, one fsync; a bad one fails alone.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use duckdb::Connection;
use staffa_domain::{Operation, Outcome, RecordId, SchemaSnapshot, StorageError};

use super::check::{self, Item, Refusal};
use super::{Request, Write, apply};
use crate::engine::{Engine, Link};
use crate::error::{Class, Fault};
use crate::sql::select;
use crate::transaction::{self, CommitError, Committed, Transaction};

/// How many records one commit takes at most: a turn of the lane stays short.
const GROUP_RECORDS_MAX: usize = 10_000;

/// What became of a turn of the lane.
#[derive(Default)]
pub(super) struct Turn {
    /// How many requests it took.
    pub(super) requests: usize,
    /// Those whose commit may or may not stand, since the engine was lost in it.
    pub(super) in_doubt: Vec<Write>,
}

/// Takes the next group of writes off the queue, carries it out and answers it. Requests
/// that must wait for this commit go back to the front.
pub(super) fn commit_next(engine: &Engine, link: &Link, waiting: &mut VecDeque<Request>) -> Turn {
    let group = take_group(engine, waiting);
    let mut turn = Turn {
        requests: group.len(),
        in_doubt: Vec::new(),
    };
    if group.iter().any(|write| !is_independent(&write.operations)) {
        // Such a request comes alone.
        for write in group {
            turn.answer_alone(engine, link, write);
        }
        return turn;
    }
    match try_group(engine, link, &group) {
        Ok(verdicts) => turn.settle((engine, link), group, verdicts, waiting),
        Err(fault) => {
            tracing::debug!(error = %fault, "a group failed; its requests run one by one");
            for write in group {
                turn.answer_alone(engine, link, write);
            }
        }
    }
    turn
}

/// Why a transaction does not stand.
enum Failure {
    /// Nothing is stored.
    Known(Fault),
    /// The commit may or may not stand.
    Unknown,
}

enum Verdict {
    Committed(u64),
    InDoubt,
    Refused(StorageError),
    Later,
}

/// Takes requests as long as they are independent of each other; a request that is not even
/// independent within itself comes alone.
fn take_group(engine: &Engine, waiting: &mut VecDeque<Request>) -> Vec<Write> {
    let mut group: Vec<Write> = Vec::new();
    let mut touched = HashSet::new();
    let mut records = 0;
    while let Some(Request::Write(write)) = waiting.front() {
        if !group.is_empty() {
            let fits = records + weight(&write.operations) <= GROUP_RECORDS_MAX;
            let apart = ids(&write.operations).all(|id| !touched.contains(&id));
            if !fits || !apart || !is_independent(&write.operations) {
                break;
            }
        }
        let Some(Request::Write(write)) = waiting.pop_front() else {
            break;
        };
        if let Err(error) = check_schemas(engine, &write.operations) {
            write.answer(Err(error));
            continue;
        }
        records += weight(&write.operations);
        touched.extend(ids(&write.operations));
        let alone = !is_independent(&write.operations);
        group.push(write);
        if alone {
            break;
        }
    }
    group
}

fn check_schemas(engine: &Engine, operations: &[Operation]) -> Result<(), StorageError> {
    engine.check_writable()?;
    for operation in operations {
        engine.check_schema(operation.schema())?;
        let changes = matches!(
            operation,
            Operation::Replace { .. } | Operation::Delete { .. }
        );
        if changes && operation.schema().schema().append_only {
            return Err(append_only());
        }
    }
    Ok(())
}

/// The answer to a change of an append-only schema.
fn append_only() -> StorageError {
    StorageError::Unsupported("an append_only schema takes new records only".to_owned())
}

/// Whether an operation changes anything.
pub(super) const fn is_write(operation: &Operation) -> bool {
    !matches!(operation, Operation::Assert { .. })
}

fn weight(operations: &[Operation]) -> usize {
    operations
        .iter()
        .map(|operation| match operation {
            Operation::Create(batch) => batch.len(),
            _ => 1,
        })
        .sum()
}

fn ids(operations: &[Operation]) -> impl Iterator<Item = RecordId> {
    operations.iter().flat_map(operation_ids)
}

fn operation_ids(operation: &Operation) -> Box<dyn Iterator<Item = RecordId> + '_> {
    match operation {
        Operation::Create(batch) | Operation::Replace { batch, .. } => {
            Box::new((0..batch.len()).map(|row| batch.id(row)))
        }
        Operation::Delete { id, .. } => Box::new(std::iter::once(*id)),
        Operation::Assert { .. } => Box::new(std::iter::empty()),
    }
}

/// Whether the operations can be carried out in any order: none looks at what another
/// wrote.
fn is_independent(operations: &[Operation]) -> bool {
    if operations.len() == 1 {
        return !matches!(operations[0], Operation::Assert { .. });
    }
    let mut seen = HashSet::new();
    operations.iter().all(|operation| {
        !matches!(operation, Operation::Assert { .. })
            && operation_ids(operation).all(|id| seen.insert(id))
    })
}

fn items(group: &[Write]) -> Vec<Item<'_>> {
    group
        .iter()
        .enumerate()
        .flat_map(|(request, write)| items_of(request, &write.operations))
        .collect()
}

fn items_of(request: usize, operations: &[Operation]) -> impl Iterator<Item = Item<'_>> {
    let numbered = operations.iter().enumerate();
    numbered.map(move |(index, operation)| Item {
        request,
        index,
        operation,
    })
}

/// Carries out a group in hope: uniqueness is left to the engine's indexes, which cost nothing
/// more, and asked about beforehand only once they refused, to learn which requests are to blame.
/// An error says that nothing is stored.
fn try_group(engine: &Engine, link: &Link, group: &[Write]) -> Result<Vec<Verdict>, Fault> {
    let hoped = match adds_to_one_schema(group) {
        true => append(engine, link, group),
        false => attempt(engine, link, group, check::versions),
    };
    match hoped {
        Err(fault) if fault.class == Class::Constraint => attempt(engine, link, group, check::all),
        done => done,
    }
}

/// Whether a group is nothing but new records of one schema.
fn adds_to_one_schema(group: &[Write]) -> bool {
    let mut operations = group.iter().flat_map(|write| &write.operations);
    let Some(first) = operations.next() else {
        return false;
    };
    let is_create = |operation: &Operation| matches!(operation, Operation::Create(_));
    let name = first.schema().name();
    is_create(first) && operations.all(|other| is_create(other) && other.schema().name() == name)
}

/// Carries out a group that is one statement, without anything to ask beforehand.
fn append(engine: &Engine, link: &Link, group: &[Write]) -> Result<Vec<Verdict>, Fault> {
    let items = items(group);
    for item in items.iter().take(1) {
        link.prepare_appends(item.operation.schema())?;
    }
    let written = items.iter().map(|item| item.operation);
    let commit = || transaction::at_once(link, |link| apply::apply(link, &items));
    let commit = match finish(engine, written, commit) {
        Ok(commit) => Some(commit),
        Err(Failure::Known(fault)) => return Err(fault),
        Err(Failure::Unknown) => None,
    };
    Ok(group
        .iter()
        .map(|_| commit.map_or(Verdict::InDoubt, Verdict::Committed))
        .collect())
}

/// A check of requests before they are carried out: for each item, why it is refused, if it is.
type Check = fn(&Connection, &[Item<'_>]) -> Result<Vec<Option<Refusal>>, Fault>;

/// Checks all requests, carries out the good ones and commits them.
fn attempt(
    engine: &Engine,
    link: &Link,
    group: &[Write],
    check: Check,
) -> Result<Vec<Verdict>, Fault> {
    let mut transaction = Transaction::begin(link)?;
    let items = items(group);
    let refusals = transaction.run(|link| check(link, &items))?;
    let mut refused: Vec<Option<Refusal>> = group.iter().map(|_| None).collect();
    for (item, refusal) in items.iter().zip(refusals) {
        if refused[item.request].is_none() {
            refused[item.request] = refusal;
        }
    }
    let good: Vec<Item<'_>> = items
        .into_iter()
        .filter(|item| refused[item.request].is_none())
        .collect();
    let mut commit = Some(0);
    if !good.is_empty() {
        transaction.run(|link| apply::apply(link, &good))?;
        let written = good.iter().map(|item| item.operation);
        commit = match finish(engine, written, || transaction.commit()) {
            Ok(commit) => Some(commit),
            Err(Failure::Known(fault)) => return Err(fault),
            Err(Failure::Unknown) => None,
        };
    }
    let verdicts = refused.into_iter().map(|refusal| match (refusal, commit) {
        (None, Some(commit)) => Verdict::Committed(commit),
        (None, None) => Verdict::InDoubt,
        (Some(Refusal::Fails(error)), _) => Verdict::Refused(error),
        (Some(Refusal::Waits), _) => Verdict::Later,
    });
    Ok(verdicts.collect())
}

/// Commits what was written, and notes it before anybody hears of it.
fn finish<'o>(
    engine: &Engine,
    written: impl Iterator<Item = &'o Operation>,
    commit: impl FnOnce() -> Result<Committed, CommitError>,
) -> Result<u64, Failure> {
    let under_way = engine.sequences.begin_all(written);
    let committed = commit();
    drop(under_way);
    match committed {
        Ok(committed) => Ok(engine.committed(committed)),
        Err(CommitError::RolledBack(fault)) => Err(Failure::Known(fault)),
        Err(CommitError::Unknown(fault)) => {
            engine.mark_lost();
            tracing::error!(error = %fault, "a commit is in doubt");
            Err(Failure::Unknown)
        }
    }
}

impl Turn {
    /// Answers a group that was carried out. A request that has to wait for it goes back to the
    /// queue, unless it waits for itself: then it runs alone.
    fn settle(
        &mut self,
        (engine, link): (&Engine, &Link),
        group: Vec<Write>,
        verdicts: Vec<Verdict>,
        waiting: &mut VecDeque<Request>,
    ) {
        let mut later = Vec::new();
        for (position, (write, verdict)) in group.into_iter().zip(verdicts).enumerate() {
            match verdict {
                Verdict::Committed(commit) => write.answer(Ok(Outcome { commit })),
                Verdict::InDoubt => self.in_doubt.push(write),
                Verdict::Refused(error) => write.answer(Err(error)),
                Verdict::Later if position == 0 => self.answer_alone(engine, link, write),
                Verdict::Later => later.push(write),
            }
        }
        for write in later.into_iter().rev() {
            waiting.push_front(Request::Write(write));
        }
    }

    fn answer_alone(&mut self, engine: &Engine, link: &Link, write: Write) {
        match run_alone(engine, link, &write.operations) {
            Some(result) => write.answer(result),
            None => self.in_doubt.push(write),
        }
    }
}

/// Carries out one request in its own transaction, one operation after the other, so that
/// later ones see earlier ones. Answers nothing where the commit is in doubt.
fn run_alone(
    engine: &Engine,
    link: &Link,
    operations: &[Operation],
) -> Option<Result<Outcome, StorageError>> {
    let written = operations
        .iter()
        .rev()
        .find(|operation| is_write(operation));
    let transaction = match carry_out(engine, link, operations) {
        Ok(transaction) => transaction,
        Err(error) => return Some(Err(error)),
    };
    match finish(engine, operations.iter(), || transaction.commit()) {
        Ok(commit) => Some(Ok(Outcome { commit })),
        Err(Failure::Known(fault)) => {
            let schema = written.map(Operation::schema);
            Some(Err(constraint(engine, link, fault, schema)))
        }
        Err(Failure::Unknown) => None,
    }
}

fn carry_out<'l>(
    engine: &Engine,
    link: &'l Link,
    operations: &[Operation],
) -> Result<Transaction<'l>, StorageError> {
    check_schemas(engine, operations)?;
    let mut transaction = Transaction::begin(link).map_err(|fault| engine.failed(fault))?;
    for item in items_of(0, operations) {
        let schema = item.operation.schema();
        let refusal = transaction
            .run(|link| refuse(link, &item))
            .map_err(|fault| engine.answer(fault, schema))?;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        if let Err(fault) = transaction.run(|link| apply::apply(link, &[item])) {
            // Rolled back first: what is to blame is looked for in what is stored.
            drop(transaction);
            return Err(constraint(engine, link, fault, Some(schema)));
        }
    }
    Ok(transaction)
}

fn refuse(connection: &Connection, item: &Item<'_>) -> Result<Option<StorageError>, Fault> {
    if let Operation::Assert {
        schema,
        filter,
        exists,
    } = item.operation
    {
        let found = select::exists(schema, filter.as_ref()).fetch(connection)?;
        let found = found.iter().any(|batch| batch.num_rows() > 0);
        let failed = StorageError::AssertionFailed {
            operation: item.index,
        };
        return Ok((found != *exists).then_some(failed));
    }
    let refusal = match check::taken_id(connection, item)? {
        Some(refusal) => Some(refusal),
        None => check::all(connection, std::slice::from_ref(item))?
            .into_iter()
            .flatten()
            .next(),
    };
    Ok(refusal.map(|refusal| match refusal {
        Refusal::Fails(error) => error,
        Refusal::Waits => StorageError::Conflict,
    }))
}

/// A constraint that only the engine saw, as when a bulk session committed meanwhile.
fn constraint(
    engine: &Engine,
    link: &Link,
    fault: Fault,
    schema: Option<&Arc<SchemaSnapshot>>,
) -> StorageError {
    match schema {
        None => engine.failed(fault),
        Some(schema) if fault.class == Class::Constraint => {
            check::stored_violation(link, schema, &fault.text)
        }
        Some(schema) => engine.answer(fault, schema),
    }
}
