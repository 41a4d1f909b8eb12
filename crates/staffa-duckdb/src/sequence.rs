//! How often each schema was written to: the number by which readers know that an answer
//! still holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

/// A number for each schema. It rises once a commit can be seen and before anybody is told of
/// it, so that an answer from before never has the number of one after.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    of_schema: RwLock<HashMap<String, u64>>,
    of_all: AtomicU64,
}

impl Sequences {
    /// The number of a schema now.
    pub(crate) fn of(&self, schema: &str) -> u64 {
        // Both only rise, and so does their sum.
        let of_schema = self.of_schema.read().get(schema).copied().unwrap_or(0);
        self.of_all.load(Ordering::Acquire) + of_schema
    }

    /// Notes a commit that wrote to a schema.
    pub(crate) fn advance(&self, schema: &str) {
        let mut of_schema = self.of_schema.write();
        match of_schema.get_mut(schema) {
            Some(number) => *number += 1,
            None => {
                of_schema.insert(schema.to_owned(), 1);
            }
        }
    }

    /// Notes that any schema may have been written to.
    pub(crate) fn advance_all(&self) {
        self.of_all.fetch_add(1, Ordering::AcqRel);
    }
}
