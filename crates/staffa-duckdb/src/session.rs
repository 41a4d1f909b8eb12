//! Writes of any size: one thread, one connection and one transaction each.

mod judge;
mod judged;
mod violation;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use staffa_domain::error::Unavailable;
use staffa_domain::ports::{RecordWriter, SESSION_BATCHES_MAX, WriteSession};
use staffa_domain::{
    OnRefusal, Operation, Outcome, RecordId, Refusals, SchemaSnapshot, StampedBatch, StorageError,
    WriteMode, WriteOptions, WriteReceipt,
};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::engine::{Engine, LOOK_PERIOD, Link, commit_unknown, draining};
use crate::error::{Class, Fault};
use crate::lane::{Lane, id_violation, is_stored, stored_violation};
use crate::priority::Priority;
use crate::sequence::Touched;
use crate::transaction::{CommitError, Transaction};

/// How many batches wait for the engine at most: it stands still for as long as some ten take to
/// be decoded whenever it packs and writes a row group, and decoding should not.
const BATCHES_WAITING: usize = 6;
/// How many batches go into the engine by one statement at most: each costs a plan, and some
/// hundred microseconds in which its threads wait for each other.
const BATCHES_AT_ONCE: usize = 3;
// Those in a statement, those that wait, and the one that waits to.
const _: () = assert!(BATCHES_AT_ONCE + BATCHES_WAITING < SESSION_BATCHES_MAX);

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

    /// Waits for a place among the sessions, for that long at most.
    async fn turn(&self, within: Option<Duration>) -> Result<OwnedSemaphorePermit, StorageError> {
        let _waiting = Waiting::begin(&self.engine);
        let turn = Arc::clone(&self.sessions).acquire_owned();
        let permit = match within {
            None => turn.await,
            Some(within) => tokio::time::timeout(within, turn)
                .await
                .map_err(|_| StorageError::Unavailable(Unavailable::Overloaded))?,
        };
        permit.map_err(|_| draining())
    }
}

/// Counts one who waits for a session, until dropped.
struct Waiting<'e>(&'e Engine);

impl<'e> Waiting<'e> {
    fn begin(engine: &'e Engine) -> Self {
        engine.sessions_waiting.fetch_add(1, Ordering::AcqRel);
        Self(engine)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.sessions_waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[async_trait]
impl RecordWriter for Writer {
    async fn begin(
        &self,
        schema: &Arc<SchemaSnapshot>,
        options: WriteOptions,
    ) -> Result<Box<dyn WriteSession>, StorageError> {
        self.engine.check_writable()?;
        self.engine.check_schema(schema)?;
        options.mode.check(schema.schema())?;
        let permit = self.turn(options.turn_within).await?;
        self.engine.check_writable()?;
        self.engine.check_schema(schema)?;
        Ok(Box::new(Session::start(
            &self.engine,
            schema,
            options,
            permit,
        )?))
    }

    async fn execute(&self, operations: Vec<Operation>) -> Result<Outcome, StorageError> {
        self.engine.check_writable()?;
        self.lane.execute(operations).await
    }
}

enum Command {
    Append(StampedBatch),
    Settle(oneshot::Sender<WriteReceipt>),
    Commit(
        Vec<StampedBatch>,
        oneshot::Sender<Result<WriteReceipt, StorageError>>,
    ),
}

/// The sending side. Dropping it ends the thread's wait for more, and so rolls back there.
#[derive(Debug)]
struct Session {
    schema: Arc<SchemaSnapshot>,
    mode: WriteMode,
    commands: mpsc::Sender<Command>,
    is_settled: bool,
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
            witness: None,
        };
        let runtime = Handle::current();
        let link = engine.connect()?;
        let place = Arc::clone(&failure);
        std::thread::Builder::new()
            .name("staffa-bulk".to_owned())
            .spawn(move || {
                Priority::Middle.take();
                load.engine.sessions_open.fetch_add(1, Ordering::AcqRel);
                let engine = Arc::clone(&load.engine);
                load.run(link, (inbox, runtime), &place);
                engine.sessions_open.fetch_sub(1, Ordering::AcqRel);
                drop(permit);
            })
            .map_err(StorageError::internal)?;
        Ok(Self {
            schema: Arc::clone(schema),
            mode,
            commands,
            is_settled: false,
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
        if self.is_settled {
            return Err(StorageError::internal("the session is settled"));
        }
        self.mode.check_batch(&self.schema, &batch)?;
        let sent = self.commands.send(Command::Append(batch)).await;
        sent.map_err(|_| self.failed())
    }

    async fn settle(&mut self) -> Result<WriteReceipt, StorageError> {
        self.is_settled = true;
        let (answer, receipt) = oneshot::channel();
        if self.commands.send(Command::Settle(answer)).await.is_err() {
            return Err(self.failed());
        }
        receipt.await.map_err(|_| self.failed())
    }

    async fn commit(
        self: Box<Self>,
        also: Vec<StampedBatch>,
    ) -> Result<WriteReceipt, StorageError> {
        let (answer, receipt) = oneshot::channel();
        let command = Command::Commit(also, answer);
        if self.commands.send(command).await.is_err() {
            return Err(self.failed());
        }
        match receipt.await {
            Ok(result) => result,
            Err(_) => Err(self.failed()),
        }
    }
}

/// Waits for the client's next step; nothing where the session is over, or the engine lost, whose
/// connections must not be held for as long as a client thinks.
fn next(engine: &Engine, inbox: &mut mpsc::Receiver<Command>, runtime: &Handle) -> Option<Command> {
    runtime.block_on(async {
        loop {
            match tokio::time::timeout(LOOK_PERIOD, inbox.recv()).await {
                Ok(command) => return command,
                Err(_) if engine.is_lost() => return None,
                Err(_) => {}
            }
        }
    })
}

/// Takes batches that wait already, up to as many as go at once; answers the command behind them
/// that is none.
fn take_waiting(
    inbox: &mut mpsc::Receiver<Command>,
    batches: &mut Vec<StampedBatch>,
) -> Option<Command> {
    while batches.len() < BATCHES_AT_ONCE {
        match inbox.try_recv() {
            Ok(Command::Append(batch)) => batches.push(batch),
            Ok(other) => return Some(other),
            Err(_) => break,
        }
    }
    None
}

/// The working side of a session.
struct Load {
    engine: Arc<Engine>,
    schema: Arc<SchemaSnapshot>,
    options: WriteOptions,
    receipt: WriteReceipt,
    /// A record that was added: whether it is stored tells whether a commit stands.
    witness: Option<(Arc<SchemaSnapshot>, RecordId)>,
    refusals: Refusals,
}

impl Load {
    fn run(
        mut self,
        link: Link,
        (mut inbox, runtime): (mpsc::Receiver<Command>, Handle),
        failure: &Mutex<Option<StorageError>>,
    ) {
        let fail = |error: StorageError| *failure.lock() = Some(error);
        if !self.goes_straight()
            && let Err(fault) = judged::prepare(&link, &self.schema)
        {
            return fail(self.engine.answer(fault, &self.schema));
        }
        let mut transaction = match Transaction::begin(&link) {
            Ok(transaction) => transaction,
            Err(fault) => return fail(self.engine.answer(fault, &self.schema)),
        };
        let mut ahead = None;
        while let Some(command) = ahead
            .take()
            .or_else(|| next(&self.engine, &mut inbox, &runtime))
        {
            match command {
                Command::Append(batch) => {
                    let mut batches = vec![batch];
                    ahead = take_waiting(&mut inbox, &mut batches);
                    let result = transaction.run(|link| self.take(link, &batches));
                    match result {
                        Ok(Ok(())) => {}
                        Ok(Err(refused)) => return fail(refused),
                        Err(fault) => {
                            // Rolled back first: the place of the fault is looked for in
                            // what is stored.
                            drop(transaction);
                            return fail(self.explain(&link, fault, &batches));
                        }
                    }
                }
                Command::Settle(answer) => {
                    // Each batch was written, or judged, when it came.
                    let refusals = self.refusals.clone();
                    let _ = answer.send(refusals.complete(self.receipt.clone()));
                }
                Command::Commit(also, answer) => {
                    let result = self.commit(&link, transaction, &also);
                    drop(link);
                    let result = result.unwrap_or_else(|| self.resolve());
                    // The write stands even where nobody hears of it.
                    let _ = answer.send(result);
                    return;
                }
            }
        }
        if self.engine.is_lost() {
            fail(StorageError::Unavailable(Unavailable::Reopening));
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
        link: &Link,
        batches: &[StampedBatch],
    ) -> Result<Result<(), StorageError>, Fault> {
        if !self.goes_straight() {
            for batch in batches {
                let outcome = (&mut self.receipt, &mut self.refusals);
                let written = judged::write(link, &self.options, batch, outcome)?;
                if written.is_err() {
                    return Ok(written);
                }
            }
            return Ok(Ok(()));
        }
        link.append(&self.schema, batches.iter().map(StampedBatch::records))?;
        for batch in batches {
            self.remember(batch);
            self.receipt.inserted += batch.len() as u64;
            if self.options.tells_ids {
                let ids = (0..batch.len()).map(|row| batch.id(row));
                self.receipt.ids.extend(ids);
            }
        }
        Ok(Ok(()))
    }

    fn remember(&mut self, batch: &StampedBatch) {
        if self.witness.is_none() && !batch.is_empty() {
            self.witness = Some((Arc::clone(batch.schema()), batch.id(0)));
        }
    }

    /// Answers nothing where the commit is in doubt.
    fn commit(
        &mut self,
        link: &Link,
        mut transaction: Transaction<'_>,
        also: &[StampedBatch],
    ) -> Option<Result<WriteReceipt, StorageError>> {
        let engine = Arc::clone(&self.engine);
        let _pass = engine.pass_gate();
        let schemas = also.iter().map(StampedBatch::schema);
        for schema in schemas.chain([&self.schema]) {
            if let Err(error) = engine.check_schema(schema) {
                return Some(Err(error));
            }
        }
        if self.refusals.undo() {
            drop(transaction);
            return Some(Ok(self.done()));
        }
        for batch in also {
            let add = |link: &Link| link.append(batch.schema(), [batch.records()]);
            if let Err(fault) = transaction.run(add) {
                drop(transaction);
                return Some(Err(self.explain_also(link, fault, batch)));
            }
            self.remember(batch);
        }
        let touched = match self.options.mode {
            WriteMode::Insert | WriteMode::Ignore { .. } => Touched::None,
            _ => Touched::Any,
        };
        let also_written = also.iter().map(StampedBatch::schema);
        let also_written = also_written.map(|schema| (schema.name(), Touched::None));
        let written = also_written.chain([(self.schema.name(), touched)]);
        let under_way = engine.sequences.begin(written);
        let committed = transaction.commit();
        drop(under_way);
        Some(match committed {
            Ok(committed) => {
                self.receipt.commit = self.engine.committed(committed);
                Ok(self.done())
            }
            Err(CommitError::RolledBack(fault)) if fault.class == Class::Constraint => {
                // Only a write that committed meanwhile can have taken the value.
                Err(if is_any_stored(link, also) {
                    id_violation(None)
                } else if self.goes_straight() {
                    stored_violation(link, &self.schema, &fault.text)
                } else {
                    StorageError::Conflict
                })
            }
            Err(CommitError::RolledBack(fault)) => Err(self.engine.answer(fault, &self.schema)),
            Err(CommitError::Unknown(_)) => {
                self.engine.mark_lost();
                return None;
            }
        })
    }

    /// What became of the session, known once it is over.
    fn done(&mut self) -> WriteReceipt {
        let refusals = Refusals::new(self.options.on_refusal);
        let refusals = std::mem::replace(&mut self.refusals, refusals);
        refusals.complete(std::mem::take(&mut self.receipt))
    }

    /// Waits until the engine is open again and looks whether a commit in doubt stands.
    fn resolve(mut self) -> Result<WriteReceipt, StorageError> {
        let Some((schema, id)) = self.witness.take() else {
            return Err(commit_unknown());
        };
        let link = self.engine.wait_for_link().ok_or(commit_unknown())?;
        match is_stored(&link, &schema, id) {
            Ok(true) => {
                self.receipt.commit = self.engine.last_commit();
                Ok(self.done())
            }
            Ok(false) => Err(StorageError::Unavailable(Unavailable::Reopening)),
            Err(fault) => {
                tracing::error!(error = %fault, "a commit stays in doubt");
                Err(commit_unknown())
            }
        }
    }

    fn explain(&self, link: &Link, fault: Fault, batches: &[StampedBatch]) -> StorageError {
        match fault.class {
            Class::Constraint if self.goes_straight() => {
                violation::locate(link, batches, &fault.text)
            }
            // As at the commit: the batch was judged by all that this transaction can see.
            Class::Constraint => StorageError::Conflict,
            Class::Conflict => {
                // A table that is being altered: once that is over it is known as what.
                drop(self.engine.pass_gate());
                match self.engine.check_schema(&self.schema) {
                    Ok(()) => StorageError::Conflict,
                    Err(error) => error,
                }
            }
            _ => self.engine.answer(fault, &self.schema),
        }
    }

    fn explain_also(&self, link: &Link, fault: Fault, batch: &StampedBatch) -> StorageError {
        match fault.class {
            Class::Constraint => violation::locate(link, std::slice::from_ref(batch), &fault.text),
            _ => self.engine.answer(fault, batch.schema()),
        }
    }
}

/// Whether some record of the batches has an id that is taken.
fn is_any_stored(link: &Link, batches: &[StampedBatch]) -> bool {
    let is_stored = |batch: &StampedBatch, row| {
        let found = is_stored(link, batch.schema(), batch.id(row));
        found.is_ok_and(|found| found)
    };
    let mut batches = batches.iter();
    batches.any(|batch| (0..batch.len()).any(|row| is_stored(batch, row)))
}
