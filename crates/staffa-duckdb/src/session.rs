//! Writes of any size: one thread, one connection and one transaction each.

mod judge;
mod judged;
mod violation;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use parking_lot::Mutex;
use staffa_domain::ports::{RecordWriter, WriteSession};
use staffa_domain::{
    OnRefusal, Operation, Outcome, Refusals, SchemaSnapshot, StampedBatch, StorageError, WriteMode,
    WriteOptions, WriteReceipt,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::engine::{Engine, Link, commit_unknown, draining};
use crate::error::{Class, Fault};
use crate::lane::{Lane, append, stored_violation};
use crate::transaction::{CommitError, Transaction};

/// How many batches wait for the engine at most.
const BATCHES_WAITING: usize = 3;

/// The writer port.
#[derive(Debug)]
pub(crate) struct Writer {
    engine: Arc<Engine>,
    lane: Arc<Lane>,
    pub(crate) sessions: Arc<Semaphore>,
}

impl Writer {
    /// Short writes go through the lane, sessions have threads of their own.
    pub(crate) fn new(engine: Arc<Engine>, lane: Arc<Lane>) -> Self {
        let sessions = Arc::new(Semaphore::new(engine.options.bulk_sessions_max.max(1)));
        Self {
            engine,
            lane,
            sessions,
        }
    }
}

#[async_trait]
impl RecordWriter for Writer {
    async fn begin(
        &self,
        schema: &Arc<SchemaSnapshot>,
        options: WriteOptions,
    ) -> Result<Box<dyn WriteSession>, StorageError> {
        self.engine.check_ready()?;
        self.engine.check_schema(schema)?;
        options.mode.check(schema.schema())?;
        let permit = Arc::clone(&self.sessions)
            .acquire_owned()
            .await
            .map_err(|_| draining())?;
        self.engine.check_ready()?;
        self.engine.check_schema(schema)?;
        Ok(Box::new(Session::start(
            &self.engine,
            schema,
            options,
            permit,
        )?))
    }

    async fn execute(&self, operations: Vec<Operation>) -> Result<Outcome, StorageError> {
        self.engine.check_ready()?;
        self.lane.execute(operations).await
    }
}

enum Command {
    Append(StampedBatch),
    Commit(oneshot::Sender<Result<WriteReceipt, StorageError>>),
}

/// The sending side. Dropping it ends the thread's wait for more, and so rolls back there.
#[derive(Debug)]
struct Session {
    schema: Arc<SchemaSnapshot>,
    mode: WriteMode,
    commands: mpsc::Sender<Command>,
    failure: Arc<Mutex<Option<StorageError>>>,
}

impl Session {
    fn start(
        engine: &Arc<Engine>,
        schema: &Arc<SchemaSnapshot>,
        options: WriteOptions,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, StorageError> {
        let (commands, inbox) = mpsc::channel(BATCHES_WAITING);
        let failure = Arc::new(Mutex::new(None));
        let mode = options.mode.clone();
        let load = Load {
            engine: Arc::clone(engine),
            schema: Arc::clone(schema),
            refusals: Refusals::new(options.on_refusal),
            options,
            receipt: WriteReceipt::default(),
        };
        let link = engine.connect()?;
        let place = Arc::clone(&failure);
        std::thread::Builder::new()
            .name("staffa-bulk".to_owned())
            .spawn(move || {
                load.engine.sessions_open.fetch_add(1, Ordering::AcqRel);
                let engine = Arc::clone(&load.engine);
                load.run(&link, inbox, &place);
                drop(link);
                engine.sessions_open.fetch_sub(1, Ordering::AcqRel);
                drop(permit);
            })
            .map_err(StorageError::internal)?;
        Ok(Self {
            schema: Arc::clone(schema),
            mode,
            commands,
            failure,
        })
    }

    fn failed(&self) -> StorageError {
        self.failure.lock().take().unwrap_or(draining())
    }
}

#[async_trait]
impl WriteSession for Session {
    async fn append(&mut self, batch: StampedBatch) -> Result<(), StorageError> {
        self.mode.check_batch(&self.schema, &batch)?;
        let sent = self.commands.send(Command::Append(batch)).await;
        sent.map_err(|_| self.failed())
    }

    async fn commit(self: Box<Self>) -> Result<WriteReceipt, StorageError> {
        let (answer, receipt) = oneshot::channel();
        if self.commands.send(Command::Commit(answer)).await.is_err() {
            return Err(self.failed());
        }
        match receipt.await {
            Ok(result) => result,
            Err(_) => Err(self.failed()),
        }
    }
}

/// The working side of a session.
struct Load {
    engine: Arc<Engine>,
    schema: Arc<SchemaSnapshot>,
    options: WriteOptions,
    receipt: WriteReceipt,
    refusals: Refusals,
}

impl Load {
    fn run(
        mut self,
        link: &Link,
        mut inbox: mpsc::Receiver<Command>,
        failure: &Mutex<Option<StorageError>>,
    ) {
        let fail = |error: StorageError| *failure.lock() = Some(error);
        if !self.goes_straight()
            && let Err(fault) = judged::prepare(link, &self.schema)
        {
            return fail(self.engine.answer(fault, &self.schema));
        }
        let mut transaction = match Transaction::begin(link) {
            Ok(transaction) => transaction,
            Err(fault) => return fail(self.engine.answer(fault, &self.schema)),
        };
        while let Some(command) = inbox.blocking_recv() {
            match command {
                Command::Append(batch) => {
                    let result = transaction.run(|connection| self.take(connection, &batch));
                    match result {
                        Ok(Ok(())) => {}
                        Ok(Err(refused)) => return fail(refused),
                        Err(fault) => {
                            // Rolled back first: the place of the fault is looked for in
                            // what is stored.
                            drop(transaction);
                            return fail(self.explain(link, fault, &batch));
                        }
                    }
                }
                Command::Commit(answer) => {
                    let result = self.commit(link, transaction);
                    // The write stands even where nobody hears of it.
                    let _ = answer.send(result);
                    return;
                }
            }
        }
    }

    /// Whether records are appended unseen. The engine itself refuses one whose value is
    /// taken, and with it the transaction, so that the others are lost too.
    fn goes_straight(&self) -> bool {
        self.options.mode == WriteMode::Insert
            && (self.options.on_refusal == OnRefusal::Fail
                || self.schema.schema().unique_groups().is_empty())
    }

    fn take(
        &mut self,
        connection: &duckdb::Connection,
        batch: &StampedBatch,
    ) -> Result<Result<(), StorageError>, Fault> {
        if !self.goes_straight() {
            let outcome = (&mut self.receipt, &mut self.refusals);
            return judged::write(connection, &self.options, batch, outcome);
        }
        append(connection, &self.schema, batch.records())?;
        self.receipt.inserted += batch.len() as u64;
        if self.options.tells_ids {
            let ids = (0..batch.len()).map(|row| batch.id(row));
            self.receipt.ids.extend(ids);
        }
        Ok(Ok(()))
    }

    fn commit(
        mut self,
        link: &Link,
        transaction: Transaction<'_>,
    ) -> Result<WriteReceipt, StorageError> {
        self.engine.check_schema(&self.schema)?;
        if self.refusals.undo() {
            drop(transaction);
            return Ok(self.refusals.complete(self.receipt));
        }
        match transaction.commit() {
            Ok(committed) => {
                self.receipt.commit = self.engine.committed(committed);
                Ok(self.refusals.complete(self.receipt))
            }
            Err(CommitError::RolledBack(fault)) if fault.class == Class::Constraint => {
                // Only a write that committed meanwhile can have taken the value.
                Err(if self.goes_straight() {
                    stored_violation(link, &self.schema, &fault.text)
                } else {
                    StorageError::Conflict
                })
            }
            Err(CommitError::RolledBack(fault)) => Err(self.engine.answer(fault, &self.schema)),
            Err(CommitError::Unknown(_)) => {
                self.engine.mark_lost();
                Err(commit_unknown())
            }
        }
    }

    fn explain(&self, link: &Link, fault: Fault, batch: &StampedBatch) -> StorageError {
        match fault.class {
            Class::Constraint if self.goes_straight() => {
                violation::locate(link, batch, &fault.text)
            }
            // As at the commit: the batch was judged by all that this transaction can see.
            Class::Constraint => StorageError::Conflict,
            _ => self.engine.answer(fault, &self.schema),
        }
    }
}
