//! From operations to few steps, each one statement.
//!
//! Operations on different schemas do not see each other, so a step may take in a later
//! operation as long as no other kind of step of its schema stands between.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use staffa_domain::{Filter, Operation, RecordId, SchemaSnapshot, StampedBatch};

/// What one transaction does, in order.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) steps: Vec<Step<'a>>,
    /// The schemas that the operations were checked against.
    pub(super) schemas: Vec<&'a Arc<SchemaSnapshot>>,
    /// Whether each operation has its own step, and an error is to name its record.
    pub(super) exact: bool,
}

/// One statement's worth of operations.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) schema: &'a Arc<SchemaSnapshot>,
    /// The index of its first operation.
    pub(super) operation: usize,
    pub(super) work: Work<'a>,
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Work<'a> {
    Create(Vec<&'a StampedBatch>),
    Replace(Vec<Change<'a>>),
    Delete(Vec<(RecordId, Option<i64>)>),
    Assert(Option<&'a Filter>, bool),
}

/// One record's next version.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) id: RecordId,
    pub(super) batch: &'a StampedBatch,
    pub(super) expected: i64,
}

/// Each operation as a step of its own.
pub(super) fn single(operations: &[Operation]) -> Plan<'_> {
    let mut plan = Plan {
        steps: Vec::new(),
        schemas: Vec::new(),
        exact: true,
    };
    for (index, operation) in operations.iter().enumerate() {
        plan.note_schema(operation.schema());
        plan.steps.push(step(index, operation));
    }
    plan
}

/// As few steps as may be.
pub(super) fn merged<'a>(operations: impl Iterator<Item = (usize, &'a Operation)>) -> Plan<'a> {
    let mut plan = Plan {
        steps: Vec::new(),
        schemas: Vec::new(),
        exact: false,
    };
    // The last step of each schema and the ids that it touches.
    let mut open: HashMap<&str, (usize, HashSet<RecordId>)> = HashMap::new();
    for (index, operation) in operations {
        plan.note_schema(operation.schema());
        let name = operation.schema().name();
        if let Some((place, ids)) = open.get_mut(name)
            && plan.steps[*place].take_in(operation, ids)
        {
            continue;
        }
        let step = step(index, operation);
        open.insert(name, (plan.steps.len(), step.ids()));
        plan.steps.push(step);
    }
    plan
}

impl<'a> Plan<'a> {
    fn note_schema(&mut self, schema: &'a Arc<SchemaSnapshot>) {
        let known = |other: &&Arc<SchemaSnapshot>| {
            other.name() == schema.name() && other.version() == schema.version()
        };
        if !self.schemas.iter().any(known) {
            self.schemas.push(schema);
        }
    }
}

fn step(index: usize, operation: &Operation) -> Step<'_> {
    let work = match operation {
        Operation::Create(batch) => Work::Create(vec![batch]),
        Operation::Replace { batch, expected } => {
            Work::Replace(change(batch, *expected).into_iter().collect())
        }
        Operation::Delete { id, expected, .. } => Work::Delete(vec![(*id, *expected)]),
        Operation::Assert { filter, exists, .. } => Work::Assert(filter.as_ref(), *exists),
    };
    Step {
        schema: operation.schema(),
        operation: index,
        work,
    }
}

fn change(batch: &StampedBatch, expected: i64) -> Option<Change<'_>> {
    (!batch.is_empty()).then(|| Change {
        id: batch.id(0),
        batch,
        expected,
    })
}

impl<'a> Step<'a> {
    fn ids(&self) -> HashSet<RecordId> {
        match &self.work {
            Work::Replace(changes) => changes.iter().map(|change| change.id).collect(),
            Work::Delete(ids) => ids.iter().map(|(id, _)| *id).collect(),
            Work::Create(_) | Work::Assert(..) => HashSet::new(),
        }
    }

    /// The index in the request of each record that the step adds or changes, in order.
    pub(super) fn origins(&self) -> Vec<u64> {
        let of = |batch: &StampedBatch| (0..batch.len()).map(|row| batch.origin(row).0).collect();
        let origins: Vec<Vec<u64>> = match &self.work {
            Work::Create(batches) => batches.iter().map(|batch| of(batch)).collect(),
            Work::Replace(changes) => changes.iter().map(|change| of(change.batch)).collect(),
            Work::Delete(_) | Work::Assert(..) => Vec::new(),
        };
        origins.concat()
    }

    /// The ids of the records that the step adds, in order.
    pub(super) fn created_ids(&self) -> Vec<RecordId> {
        let Work::Create(batches) = &self.work else {
            return Vec::new();
        };
        let ids = |batch: &&StampedBatch| (0..batch.len()).map(|row| batch.id(row)).collect();
        batches.iter().map(ids).collect::<Vec<Vec<_>>>().concat()
    }

    /// Adds an operation of the same kind and schema version; false if it must stand alone.
    /// One statement sees a record once, so a record that comes again needs another.
    fn take_in(&mut self, operation: &'a Operation, ids: &mut HashSet<RecordId>) -> bool {
        if operation.schema().version() != self.schema.version() {
            return false;
        }
        match (&mut self.work, operation) {
            (Work::Create(batches), Operation::Create(batch)) => {
                batches.push(batch);
                true
            }
            (Work::Replace(changes), Operation::Replace { batch, expected }) => {
                match change(batch, *expected) {
                    Some(change) if ids.insert(change.id) => {
                        changes.push(change);
                        true
                    }
                    _ => false,
                }
            }
            (Work::Delete(deletes), Operation::Delete { id, expected, .. }) => {
                let new = ids.insert(*id);
                if new {
                    deletes.push((*id, *expected));
                }
                new
            }
            _ => false,
        }
    }
}
