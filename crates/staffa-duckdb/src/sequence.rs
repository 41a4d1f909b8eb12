//! How often each schema, and each record, was written to: the numbers by which readers know
//! that an answer still holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use staffa_domain::{Operation, RecordId};

/// How many numbers all records share. One that is shared rises more often than it must, which
/// costs a reader a question; 2^16 of them cost half a megabyte.
const SLOTS: usize = 1 << 16;

/// What a commit did to the records of a schema that were there before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touched {
    /// Nothing: it only added.
    None,
    /// Any of them may have changed.
    Any,
}

#[derive(Debug, Default, Clone, Copy)]
struct Numbers {
    commits: u64,
    /// Commits that may have changed any record.
    changes: u64,
}

/// The numbers. They rise once a commit can be seen and before anybody is told of it, so that
/// an answer from before never has the number of one after.
#[derive(Debug)]
pub(crate) struct Sequences {
    schemas: RwLock<HashMap<String, Numbers>>,
    all: AtomicU64,
    records: Box<[AtomicU64]>,
}

impl Default for Sequences {
    fn default() -> Self {
        Self {
            schemas: RwLock::default(),
            all: AtomicU64::default(),
            records: (0..SLOTS).map(|_| AtomicU64::default()).collect(),
        }
    }
}

impl Sequences {
    /// The number of a schema now.
    pub(crate) fn of(&self, schema: &str) -> u64 {
        // Both only rise, and so does their sum.
        self.all.load(Ordering::Acquire) + self.numbers(schema).commits
    }

    /// The number of a record now.
    pub(crate) fn of_record(&self, schema: &str, id: RecordId) -> u64 {
        self.all.load(Ordering::Acquire)
            + self.numbers(schema).changes
            + self.slot(id).load(Ordering::Acquire)
    }

    /// Notes a commit that wrote to a schema.
    pub(crate) fn advance(&self, schema: &str, touched: Touched) {
        let mut of_schema = self.schemas.write();
        if !of_schema.contains_key(schema) {
            of_schema.insert(schema.to_owned(), Numbers::default());
        }
        if let Some(numbers) = of_schema.get_mut(schema) {
            numbers.commits += 1;
            numbers.changes += u64::from(touched == Touched::Any);
        }
    }

    /// Notes a commit of operations.
    pub(crate) fn advance_by<'o>(&self, operations: impl Iterator<Item = &'o Operation>) {
        let mut last = None;
        for operation in operations {
            match operation {
                Operation::Replace { batch, .. } => self.touch(batch.id(0)),
                Operation::Delete { id, .. } => self.touch(*id),
                Operation::Create(_) | Operation::Assert { .. } => {}
            }
            // Most groups write to one schema alone.
            let name = operation.schema().name();
            if last.replace(name) != Some(name) {
                self.advance(name, Touched::None);
            }
        }
    }

    /// Notes that any schema may have been written to.
    pub(crate) fn advance_all(&self) {
        self.all.fetch_add(1, Ordering::AcqRel);
    }

    fn touch(&self, id: RecordId) {
        self.slot(id).fetch_add(1, Ordering::AcqRel);
    }

    fn slot(&self, id: RecordId) -> &AtomicU64 {
        // The end of an id is where ids of one moment differ.
        let [.., high, low] = *id.as_bytes();
        &self.records[usize::from(u16::from_be_bytes([high, low]))]
    }

    fn numbers(&self, schema: &str) -> Numbers {
        let of_schema = self.schemas.read();
        of_schema.get(schema).copied().unwrap_or_default()
    }
}
