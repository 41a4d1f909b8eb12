//! Group commit: many requests, one transaction, one fsync; a bad one fails alone.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use staffa_domain::{Operation, Outcome, RecordId, SchemaSnapshot, StorageError};

use super::check::{self, Item, Refusal};
use super::{Request, Write, apply};
use crate::engine::{Engine, Link, commit_unknown};
use crate::error::{Class, Fault};
use crate::sql::select;
use crate::transaction::{CommitError, Transaction};

/// How many records one commit takes at most: a turn of the lane stays short.
const GROUP_RECORDS_MAX: usize = 10_000;

/// Takes the next group of writes off the queue, carries it out and answers it. Requests
/// that must wait for this commit go back to the front.
pub(super) fn commit_next(engine: &Engine, link: &Link, waiting: &mut VecDeque<Request>) {
    let mut group = take_group(engine, waiting);
    if group.is_empty() {
        return;
    }
    if group.len() == 1 && !is_independent(&group[0].operations) {
        if let Some(write) = group.pop() {
            answer_alone(engine, link, write);
        }
        return;
    }
    let attempt = try_group(engine, link, &group);
    match attempt {
        Ok(verdicts) => settle(engine, link, group, verdicts, waiting),
        Err(Failure::Known(fault)) => {
            tracing::debug!(error = %fault, "a group failed; its requests run one by one");
            for write in group {
                answer_alone(engine, link, write);
            }
        }
        Err(Failure::Unknown(fault)) => {
            engine.mark_lost();
            tracing::error!(error = %fault, requests = group.len(), "a commit is in doubt");
            for write in group {
                let _ = write.answer.send(Err(commit_unknown()));
            }
        }
    }
}

enum Failure {
    /// Nothing is stored.
    Known(Fault),
    /// The commit may or may not stand.
    Unknown(Fault),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Known(fault)
    }
}

enum Verdict {
    Committed(u64),
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
            let _ = write.answer.send(Err(error));
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
    engine.check_ready()?;
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

/// Checks all requests, carries out the good ones and commits them.
fn try_group(engine: &Engine, link: &Link, group: &[Write]) -> Result<Vec<Verdict>, Failure> {
    let mut transaction = Transaction::begin(link)?;
    let items = items(group);
    let refusals = transaction.run(|connection| check::check(connection, &items))?;
    let mut verdicts: Vec<Option<Refusal>> = group.iter().map(|_| None).collect();
    for (item, refusal) in items.iter().zip(refusals) {
        if verdicts[item.request].is_none() {
            verdicts[item.request] = refusal;
        }
    }
    let good: Vec<Item<'_>> = items
        .into_iter()
        .filter(|item| verdicts[item.request].is_none())
        .collect();
    let mut commit = 0;
    if !good.is_empty() {
        transaction.run(|connection| apply::apply(connection, &good))?;
        commit = finish(engine, transaction)?;
    }
    let verdicts = verdicts.into_iter().map(|refusal| match refusal {
        None => Verdict::Committed(commit),
        Some(Refusal::Fails(error)) => Verdict::Refused(error),
        Some(Refusal::Waits) => Verdict::Later,
    });
    Ok(verdicts.collect())
}

fn finish(engine: &Engine, transaction: Transaction<'_>) -> Result<u64, Failure> {
    match transaction.commit() {
        Ok(committed) => Ok(engine.committed(committed)),
        Err(CommitError::RolledBack(fault)) => Err(Failure::Known(fault)),
        Err(CommitError::Unknown(fault)) => Err(Failure::Unknown(fault)),
    }
}

/// Answers a group that was carried out. A request that has to wait for it goes back to the
/// queue, unless it waits for itself: then it runs alone.
fn settle(
    engine: &Engine,
    link: &Link,
    group: Vec<Write>,
    verdicts: Vec<Verdict>,
    waiting: &mut VecDeque<Request>,
) {
    let mut later = Vec::new();
    for (position, (write, verdict)) in group.into_iter().zip(verdicts).enumerate() {
        // The answer is dropped where its caller has gone; the work stands all the same.
        match verdict {
            Verdict::Committed(commit) => {
                let _ = write.answer.send(Ok(Outcome { commit }));
            }
            Verdict::Refused(error) => {
                let _ = write.answer.send(Err(error));
            }
            Verdict::Later if position == 0 => answer_alone(engine, link, write),
            Verdict::Later => later.push(write),
        }
    }
    for write in later.into_iter().rev() {
        waiting.push_front(Request::Write(write));
    }
}

fn answer_alone(engine: &Engine, link: &Link, write: Write) {
    let result = run_alone(engine, link, &write.operations);
    let _ = write.answer.send(result);
}

/// Carries out one request in its own transaction, one operation after the other, so that
/// later ones see earlier ones.
fn run_alone(
    engine: &Engine,
    link: &Link,
    operations: &[Operation],
) -> Result<Outcome, StorageError> {
    check_schemas(engine, operations)?;
    let mut transaction = Transaction::begin(link)?;
    let mut violated = None;
    for item in items_of(0, operations) {
        let refusal = transaction
            .run(|connection| refuse(connection, &item))
            .map_err(|fault| engine.answer(fault, item.operation.schema()))?;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        violated = Some(item.operation.schema());
        transaction
            .run(|connection| apply::apply(connection, &[item]))
            .map_err(|fault| constraint(engine, link, fault, violated))?;
    }
    match finish(engine, transaction) {
        Ok(commit) => Ok(Outcome { commit }),
        Err(Failure::Known(fault)) => Err(constraint(engine, link, fault, violated)),
        Err(Failure::Unknown(fault)) => {
            engine.mark_lost();
            tracing::error!(error = %fault, "a commit is in doubt");
            Err(commit_unknown())
        }
    }
}

fn refuse(connection: &duckdb::Connection, item: &Item<'_>) -> Result<Option<StorageError>, Fault> {
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
        None => check::check(connection, std::slice::from_ref(item))?
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
        None => fault.into(),
        Some(schema) if fault.class == Class::Constraint => {
            check::stored_violation(link, schema, &fault.text)
        }
        Some(schema) => engine.answer(fault, schema),
    }
}
