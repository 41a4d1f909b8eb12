//! What a write asks for and what it answers.

use std::sync::Arc;
use std::time::Duration;

use crate::batch::StampedBatch;
use crate::error::StorageError;
use crate::query::Filter;
use crate::record::RecordId;
use crate::refusal::{OnRefusal, Refusal};
use crate::schema::{Schema, SchemaSnapshot};

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
    /// Adds it; a taken unique value is refused.
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
    /// Changes the record with the same key: the properties that the given one gives
    /// ([`StampedBatch::given`]), each record its own. One without a match is refused.
    Update {
        /// The positions of the key's properties.
        key: Vec<usize>,
    },
    /// Removes the record with the same key; one without a match is refused.
    Delete {
        /// The positions of the key's properties.
        key: Vec<usize>,
    },
}

impl WriteMode {
    /// The positions of the properties by which records are found.
    pub fn key(&self) -> Option<&[usize]> {
        match self {
            Self::Insert => None,
            Self::Upsert { key }
            | Self::Ignore { key }
            | Self::Update { key }
            | Self::Delete { key } => Some(key),
        }
    }

    /// Whether a session in this mode takes records that give some of their properties only.
    pub const fn takes_parts(&self) -> bool {
        matches!(self, Self::Update { .. } | Self::Delete { .. })
    }

    /// Refuses a mode that a schema cannot have: a change where records are only added, or
    /// a key that is no unique group. Every engine asks this when a session begins.
    pub fn check(&self, schema: &Schema) -> Result<(), StorageError> {
        let Some(key) = self.key() else {
            return Ok(());
        };
        let message = if schema.append_only {
            "an append_only schema takes new records only"
        } else if !schema.is_unique_group(key) {
            "a key must be the primary key or a unique property"
        } else {
            return Ok(());
        };
        Err(StorageError::Unsupported(message.to_owned()))
    }

    /// Refuses a batch that a session may not take: one that was checked against another
    /// version of the schema, or parts of records where whole ones are needed. Every engine
    /// asks this of each batch.
    pub fn check_batch(
        &self,
        schema: &SchemaSnapshot,
        batch: &StampedBatch,
    ) -> Result<(), StorageError> {
        if batch.schema().version() != schema.version() {
            return Err(StorageError::SchemaMoved {
                schema: schema.name().to_owned(),
            });
        }
        if batch.given().is_some() && !self.takes_parts() {
            return Err(StorageError::internal("parts of records cannot be added"));
        }
        Ok(())
    }
}

/// How a write session is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteOptions {
    /// What happens to each record.
    pub mode: WriteMode,
    /// What happens when a record must be refused.
    pub on_refusal: OnRefusal,
    /// Whether the receipt tells the ids.
    pub tells_ids: bool,
    /// How long the session may wait for its turn, where the engine carries out a few at a time;
    /// as long as it takes when absent.
    pub turn_within: Option<Duration>,
}

impl From<WriteMode> for WriteOptions {
    /// The session fails at the first refusal, and its receipt has numbers alone.
    fn from(mode: WriteMode) -> Self {
        Self {
            mode,
            ..Self::default()
        }
    }
}

/// What a write session did, known after its commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteReceipt {
    /// Records added.
    pub inserted: u64,
    /// Records changed.
    pub updated: u64,
    /// Records left alone because their key was taken.
    pub ignored: u64,
    /// Records removed.
    pub deleted: u64,
    /// Records refused, of which nothing is stored.
    pub refused: u64,
    /// The refused records, up to the number asked for, in the order of the request.
    pub refusals: Vec<Refusal>,
    /// Where asked for: of each record that was not refused, in the order of the request, the
    /// id of the record that it became, changed, removed or left alone.
    pub ids: Vec<RecordId>,
    /// The commit that holds them.
    pub commit: u64,
}
