//! What a write asks for and what it answers.

use std::sync::Arc;

use crate::batch::StampedBatch;
use crate::query::Filter;
use crate::record::RecordId;
use crate::schema::SchemaSnapshot;

/// One change. A list of them is carried out whole or not at all, in order.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Adds the records of a batch. Fails on a taken id or unique value.
    Create(StampedBatch),
    /// Puts the batch's only record in place of the one with its id, if that has the
    /// version `expected`.
    Replace {
        /// One record: id, times, the new version, all properties.
        batch: StampedBatch,
        /// The version that the record must have now.
        expected: i64,
    },
    /// Removes a record, if it has the version `expected` where one is given.
    Delete {
        /// The schema of the record.
        schema: Arc<SchemaSnapshot>,
        /// The record.
        id: RecordId,
        /// The version that the record must have now.
        expected: Option<i64>,
    },
    /// Changes nothing; fails the whole list unless at least one record matches, or none
    /// does when `exists` is false.
    Assert {
        /// The schema whose records are looked at.
        schema: Arc<SchemaSnapshot>,
        /// The condition.
        filter: Option<Filter>,
        /// Whether a matching record must exist or must not.
        exists: bool,
    },
}

impl Operation {
    /// The schema that the operation concerns.
    pub const fn schema(&self) -> &Arc<SchemaSnapshot> {
        match self {
            Self::Create(batch) | Self::Replace { batch, .. } => batch.schema(),
            Self::Delete { schema, .. } | Self::Assert { schema, .. } => schema,
        }
    }
}

/// The proof that a list of operations is durable: the engine's commit sequence number,
/// which rises with every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The commit that holds the operations.
    pub commit: u64,
}

/// What a write session does with each record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WriteMode {
    /// Adds it; a taken unique value fails.
    #[default]
    Insert,
    /// Adds it, or replaces the properties of the record with the same key.
    Upsert {
        /// The positions of the key's properties.
        key: Vec<usize>,
    },
    /// Adds it, or leaves the record with the same key as it is.
    Ignore {
        /// The positions of the key's properties.
        key: Vec<usize>,
    },
    /// Changes the record with the same key; one without a match fails.
    Update {
        /// The positions of the key's properties.
        key: Vec<usize>,
        /// The positions of the properties that the request gives; the rest stay.
        set: Vec<usize>,
    },
    /// Removes the record with the same key; one without a match fails.
    Delete {
        /// The positions of the key's properties.
        key: Vec<usize>,
    },
}

/// What a write session did, known after its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteReceipt {
    /// Records added.
    pub inserted: u64,
    /// Records changed.
    pub updated: u64,
    /// Records left alone because their key was taken.
    pub ignored: u64,
    /// Records removed.
    pub deleted: u64,
    /// The commit that holds them.
    pub commit: u64,
}
