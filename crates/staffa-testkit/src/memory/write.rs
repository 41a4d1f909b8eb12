//! The write side: short lists of operations, and sessions of any size.

use std::sync::Arc;

use async_trait::async_trait;

use staffa_domain::error::UniqueViolation;
use staffa_domain::ports::{RecordWriter, WriteSession};
use staffa_domain::{
    Operation, Outcome, RecordId, SchemaSnapshot, StampedBatch, StorageError, WriteMode,
    WriteReceipt,
};

use super::content::{Content, Taken};
use super::{MemoryEngine, State};
use crate::eval::matches;
use crate::record::{Record, records_of};

#[async_trait]
impl RecordWriter for MemoryEngine {
    async fn begin(
        &self,
        schema: &Arc<SchemaSnapshot>,
        mode: WriteMode,
    ) -> Result<Box<dyn WriteSession>, StorageError> {
        let state = self.snapshot()?;
        let kept = state.kept_at(schema)?;
        if let Some(key) = key_of(&mode) {
            refuse_append_only(schema)?;
            if !kept.content.is_key(key) {
                let message = "a key must be the primary key or a unique property";
                return Err(StorageError::Unsupported(message.to_owned()));
            }
        }
        Ok(Box::new(MemorySession {
            engine: self.clone(),
            schema: Arc::clone(schema),
            mode,
            batches: Vec::new(),
        }))
    }

    async fn execute(&self, operations: Vec<Operation>) -> Result<Outcome, StorageError> {
        self.change(|state| {
            for (index, operation) in operations.into_iter().enumerate() {
                apply(state, index, operation)?;
            }
            Ok(Outcome {
                commit: state.commit,
            })
        })
    }
}

fn key_of(mode: &WriteMode) -> Option<&[usize]> {
    match mode {
        WriteMode::Insert => None,
        WriteMode::Upsert { key }
        | WriteMode::Ignore { key }
        | WriteMode::Update { key, .. }
        | WriteMode::Delete { key } => Some(key),
    }
}

fn refuse_append_only(schema: &SchemaSnapshot) -> Result<(), StorageError> {
    if schema.schema().append_only {
        let message = "an append_only schema takes new records only";
        return Err(StorageError::Unsupported(message.to_owned()));
    }
    Ok(())
}

fn taken(index: u64) -> impl FnOnce(Taken) -> StorageError {
    move |properties| StorageError::UniqueViolation {
        violation: UniqueViolation {
            index: Some(index),
            properties,
        },
    }
}

fn apply(state: &mut State, index: usize, operation: Operation) -> Result<(), StorageError> {
    match operation {
        Operation::Create(batch) => {
            let content = state.content_at(batch.schema())?;
            let records = records_of(batch.schema(), batch.records());
            for (row, record) in records.into_iter().enumerate() {
                content.insert(record).map_err(taken(batch.origin(row).0))?;
            }
        }
        Operation::Replace { batch, expected } => {
            refuse_append_only(batch.schema())?;
            let content = state.content_at(batch.schema())?;
            let records = records_of(batch.schema(), batch.records());
            for (row, record) in records.into_iter().enumerate() {
                check_version(content, index, record.id, Some(expected))?;
                content
                    .replace(record)
                    .map_err(taken(batch.origin(row).0))?;
            }
        }
        Operation::Delete {
            schema,
            id,
            expected,
        } => {
            refuse_append_only(&schema)?;
            let content = state.content_at(&schema)?;
            check_version(content, index, id, expected)?;
            content.remove(id);
        }
        Operation::Assert {
            schema,
            filter,
            exists,
        } => {
            let content = &state.kept_at(&schema)?.content;
            let mut records = content.records().values();
            if records.any(|record| matches(filter.as_ref(), record)) != exists {
                return Err(StorageError::AssertionFailed { operation: index });
            }
        }
    }
    Ok(())
}

fn check_version(
    content: &Content,
    operation: usize,
    id: RecordId,
    expected: Option<i64>,
) -> Result<(), StorageError> {
    let stored = content.records().get(&id);
    let current = stored
        .ok_or(StorageError::RecordNotFound { operation })?
        .version;
    if expected.is_some_and(|expected| expected != current) {
        return Err(StorageError::VersionMismatch { operation, current });
    }
    Ok(())
}

/// Keeps its batches until the commit, which applies them in one go.
#[derive(Debug)]
struct MemorySession {
    engine: MemoryEngine,
    schema: Arc<SchemaSnapshot>,
    mode: WriteMode,
    batches: Vec<StampedBatch>,
}

#[async_trait]
impl WriteSession for MemorySession {
    async fn append(&mut self, batch: StampedBatch) -> Result<(), StorageError> {
        if batch.schema().version() != self.schema.version() {
            return Err(super::moved(self.schema.name()));
        }
        self.batches.push(batch);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<WriteReceipt, StorageError> {
        self.engine.change(|state| {
            let mut receipt = WriteReceipt {
                commit: state.commit,
                ..WriteReceipt::default()
            };
            let content = state.content_at(&self.schema)?;
            for batch in &self.batches {
                let records = records_of(&self.schema, batch.records());
                for (row, record) in records.into_iter().enumerate() {
                    write(
                        content,
                        &self.mode,
                        batch.origin(row).0,
                        record,
                        &mut receipt,
                    )?;
                }
            }
            Ok(receipt)
        })
    }
}

fn write(
    content: &mut Content,
    mode: &WriteMode,
    index: u64,
    record: Record,
    receipt: &mut WriteReceipt,
) -> Result<(), StorageError> {
    let stored = key_of(mode).and_then(|key| content.same_key(key, &record).cloned());
    let missing = || StorageError::RecordNotFound {
        operation: usize::try_from(index).unwrap_or(usize::MAX),
    };
    let (change, count) = match (mode, stored) {
        (WriteMode::Insert, _) | (WriteMode::Upsert { .. } | WriteMode::Ignore { .. }, None) => {
            (content.insert(record), &mut receipt.inserted)
        }
        (WriteMode::Upsert { .. }, Some(stored)) => {
            let next = next_version(&stored, &record, record.values.clone());
            (content.replace(next), &mut receipt.updated)
        }
        (WriteMode::Ignore { .. }, Some(_)) => (Ok(()), &mut receipt.ignored),
        (WriteMode::Update { set, .. }, Some(stored)) => {
            let mut values = stored.values.clone();
            for position in set {
                values[*position] = record.values[*position].clone();
            }
            let next = next_version(&stored, &record, values);
            (content.replace(next), &mut receipt.updated)
        }
        (WriteMode::Delete { .. }, Some(stored)) => {
            content.remove(stored.id);
            (Ok(()), &mut receipt.deleted)
        }
        (WriteMode::Update { .. } | WriteMode::Delete { .. }, None) => return Err(missing()),
    };
    change.map_err(taken(index))?;
    *count += 1;
    Ok(())
}

/// The stored record keeps its identity and creation; the request's record gives the time.
fn next_version(stored: &Record, given: &Record, values: Vec<staffa_domain::Value>) -> Record {
    Record {
        id: stored.id,
        created_at: stored.created_at,
        updated_at: given.updated_at,
        version: stored.version + 1,
        values,
    }
}
