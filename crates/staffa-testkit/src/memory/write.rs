//! The write side: short lists of operations, and sessions of any size.

use std::sync::Arc;

use async_trait::async_trait;

use staffa_domain::error::UniqueViolation;
use staffa_domain::ports::{RecordWriter, WriteSession};
use staffa_domain::{
    Operation, Outcome, RecordId, Refusal, RefusalReason, Refusals, SchemaSnapshot, StampedBatch,
    StorageError, Value, WriteMode, WriteOptions, WriteReceipt,
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
        options: WriteOptions,
    ) -> Result<Box<dyn WriteSession>, StorageError> {
        self.snapshot()?.kept_at(schema)?;
        options.mode.check(schema.schema())?;
        Ok(Box::new(MemorySession {
            engine: self.clone(),
            schema: Arc::clone(schema),
            options,
            batches: Vec::new(),
            is_settled: false,
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
            line: None,
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
    options: WriteOptions,
    batches: Vec<StampedBatch>,
    is_settled: bool,
}

#[async_trait]
impl WriteSession for MemorySession {
    async fn append(&mut self, batch: StampedBatch) -> Result<(), StorageError> {
        if self.is_settled {
            return Err(StorageError::internal("the session is settled"));
        }
        self.options.mode.check_batch(&self.schema, &batch)?;
        self.batches.push(batch);
        Ok(())
    }

    async fn settle(&mut self) -> Result<WriteReceipt, StorageError> {
        self.is_settled = true;
        let mut settled = None;
        let tried = self.engine.change(|state| {
            settled = Some(self.load(state)?.receipt());
            // The state stays as it was.
            Err::<WriteReceipt, _>(StorageError::Conflict)
        });
        settled.map_or(tried, Ok)
    }

    async fn commit(
        self: Box<Self>,
        also: Vec<StampedBatch>,
    ) -> Result<WriteReceipt, StorageError> {
        let mut undone = None;
        let done = self.engine.change(|state| {
            let load = self.load(state)?;
            if load.refusals.undo() {
                undone = Some(load.receipt());
                // The state stays as it was.
                return Err(StorageError::Conflict);
            }
            for (index, batch) in also.into_iter().enumerate() {
                apply(state, index, Operation::Create(batch))?;
            }
            Ok(load.receipt())
        });
        undone.map_or(done, Ok)
    }
}

impl MemorySession {
    fn load(&self, state: &mut State) -> Result<Load<'_>, StorageError> {
        let mut load = Load::new(state.commit, &self.options);
        let content = state.content_at(&self.schema)?;
        for batch in &self.batches {
            load.write(content, batch)?;
        }
        Ok(load)
    }
}

/// A session's work at its commit.
struct Load<'a> {
    options: &'a WriteOptions,
    receipt: WriteReceipt,
    refusals: Refusals,
}

impl<'a> Load<'a> {
    fn new(commit: u64, options: &'a WriteOptions) -> Self {
        Self {
            options,
            receipt: WriteReceipt {
                commit,
                ..WriteReceipt::default()
            },
            refusals: Refusals::new(options.on_refusal),
        }
    }

    fn receipt(self) -> WriteReceipt {
        self.refusals.complete(self.receipt)
    }

    fn write(&mut self, content: &mut Content, batch: &StampedBatch) -> Result<(), StorageError> {
        let records = records_of(batch.schema(), batch.records());
        for (row, record) in records.into_iter().enumerate() {
            match self.write_one(content, record, &|position| gives(batch, row, position)) {
                Ok(id) if self.options.tells_ids => self.receipt.ids.push(id),
                Ok(_) => {}
                Err(reason) => {
                    let (index, line) = batch.origin(row);
                    self.refusals.note(Refusal {
                        index,
                        line,
                        reason,
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Answers the id of the record that the given one became or met.
    fn write_one(
        &mut self,
        content: &mut Content,
        record: Record,
        gives: &dyn Fn(usize) -> bool,
    ) -> Result<RecordId, RefusalReason> {
        let (mode, receipt) = (&self.options.mode, &mut self.receipt);
        let stored = mode
            .key()
            .and_then(|key| content.same_key(key, &record).cloned());
        let id = stored.as_ref().map_or(record.id, |stored| stored.id);
        let (change, count) = match (mode, stored) {
            (WriteMode::Insert, _)
            | (WriteMode::Upsert { .. } | WriteMode::Ignore { .. }, None) => {
                (content.insert(record), &mut receipt.inserted)
            }
            (WriteMode::Upsert { .. }, Some(stored)) => {
                let next = next_version(&stored, &record, record.values.clone());
                (content.replace(next), &mut receipt.updated)
            }
            (WriteMode::Ignore { .. }, Some(_)) => (Ok(()), &mut receipt.ignored),
            (WriteMode::Update { .. }, Some(stored)) => {
                let mut values = stored.values.clone();
                for (position, value) in values.iter_mut().enumerate() {
                    if gives(position) {
                        value.clone_from(&record.values[position]);
                    }
                }
                let next = next_version(&stored, &record, values);
                (content.replace(next), &mut receipt.updated)
            }
            (WriteMode::Delete { .. }, Some(stored)) => {
                content.remove(stored.id);
                (Ok(()), &mut receipt.deleted)
            }
            (WriteMode::Update { .. } | WriteMode::Delete { .. }, None) => {
                return Err(RefusalReason::Missing);
            }
        };
        change.map_err(RefusalReason::Taken)?;
        *count += 1;
        Ok(id)
    }
}

/// Whether a record gives a property; a whole one gives all.
fn gives(batch: &StampedBatch, row: usize, position: usize) -> bool {
    batch.given().is_none_or(|given| given[position].by(row))
}

/// The stored record keeps its identity and creation; the request's record gives the time.
fn next_version(stored: &Record, given: &Record, values: Vec<Value>) -> Record {
    Record {
        id: stored.id,
        created_at: stored.created_at,
        updated_at: given.updated_at,
        version: stored.version + 1,
        values,
    }
}
