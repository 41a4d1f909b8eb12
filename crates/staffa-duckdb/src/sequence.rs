//! How often each schema, and each record, was written to: the numbers by which readers know
//! that an answer still holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use staffa_domain::{Operation, RecordId};

/// How many numbers all records share. One that is shared rises more often than it must, which
/// costs a reader a question; 2^16 of them cost half a megabyte.
const SLOTS: usize = 1 << 16;

/// What a commit does to the records of a schema that are there before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touched {
    /// Nothing: it only adds.
    None,
    /// Any of them may change.
    Any,
}

#[derive(Debug, Default, Clone, Copy)]
struct Numbers {
    commits: u64,
    /// Commits that may have changed any record.
    changes: u64,
    /// Commits that have begun and not ended: whether they can be seen is not known.
    under_way: u64,
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

    /// The number of a schema, unless a commit to it is under way. What was read between two
    /// times of the same number was the same all the time.
    pub(crate) fn of_resting(&self, schema: &str) -> Option<u64> {
        let all = self.all.load(Ordering::Acquire);
        let numbers = self.numbers(schema);
        (numbers.under_way == 0).then_some(all + numbers.commits)
    }

    /// The number of a record now.
    pub(crate) fn of_record(&self, schema: &str, id: RecordId) -> u64 {
        self.all.load(Ordering::Acquire)
            + self.numbers(schema).changes
            + self.slot(id).load(Ordering::Acquire)
    }

    /// Notes that a commit which writes to schemas begins.
    pub(crate) fn begin<'n>(
        &self,
        schemas: impl IntoIterator<Item = (&'n str, Touched)>,
    ) -> UnderWay<'_> {
        let schemas = schemas.into_iter();
        let schemas: Vec<_> = schemas.map(|(name, how)| (name.to_owned(), how)).collect();
        let mut of_schema = self.schemas.write();
        for (name, _) in &schemas {
            of_schema.entry(name.clone()).or_default().under_way += 1;
        }
        UnderWay {
            sequences: self,
            schemas,
            records: Vec::new(),
        }
    }

    /// Notes that a commit of operations begins.
    pub(crate) fn begin_all<'o>(
        &self,
        operations: impl Iterator<Item = &'o Operation>,
    ) -> UnderWay<'_> {
        let mut schemas: Vec<&str> = Vec::new();
        let mut records = Vec::new();
        for operation in operations {
            match operation {
                Operation::Replace { batch, .. } => records.push(batch.id(0)),
                Operation::Delete { id, .. } => records.push(*id),
                Operation::Create(_) | Operation::Assert { .. } => {}
            }
            // Most groups write to one schema alone.
            let name = operation.schema().name();
            if schemas.last() != Some(&name) {
                schemas.push(name);
            }
        }
        let mut under_way = self.begin(schemas.into_iter().map(|name| (name, Touched::None)));
        under_way.records = records;
        under_way
    }

    /// Notes that any schema may have been written to.
    pub(crate) fn advance_all(&self) {
        self.all.fetch_add(1, Ordering::AcqRel);
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

/// A commit that is under way. When it is over, which must be before anybody hears of it, the
/// numbers rise, whatever came of it.
#[derive(Debug)]
#[must_use = "the numbers rise when it is dropped"]
pub(crate) struct UnderWay<'s> {
    sequences: &'s Sequences,
    schemas: Vec<(String, Touched)>,
    /// Those that change.
    records: Vec<RecordId>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        for id in &self.records {
            self.sequences.slot(*id).fetch_add(1, Ordering::AcqRel);
        }
        let mut of_schema = self.sequences.schemas.write();
        for (name, touched) in &self.schemas {
            if let Some(numbers) = of_schema.get_mut(name) {
                numbers.commits += 1;
                numbers.changes += u64::from(*touched == Touched::Any);
                numbers.under_way -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sequences, Touched};

    #[test]
    fn nothing_rests_while_a_commit_is_under_way() {
        let sequences = Sequences::default();
        assert_eq!(sequences.of_resting("a"), Some(0));
        let first = sequences.begin([("a", Touched::None), ("b", Touched::Any)]);
        let second = sequences.begin([("a", Touched::Any)]);
        assert_eq!(sequences.of("a"), 0, "nobody was told");
        drop(first);
        assert_eq!(sequences.of_resting("a"), None, "the second is under way");
        assert_eq!(sequences.of_resting("b"), Some(1));
        drop(second);
        assert_eq!(sequences.of_resting("a"), Some(2));
        assert_eq!(sequences.of_resting("c"), Some(0));
        sequences.advance_all();
        assert_eq!(sequences.of_resting("c"), Some(1));
    }
}
