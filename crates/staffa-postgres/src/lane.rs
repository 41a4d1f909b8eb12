//! Short writes: each lane has one connection and takes what waits as one transaction.
//!
//! Lanes work side by side on new records alone. A transaction that changes or looks at
//! existing records has the lanes to itself, so that calls are carried out in their order
//! and lanes never wait for each other's records.
//!
//! A request is answered after its commit. When a shared transaction fails it is rolled
//! back and each request is carried out by itself, so that one failure stays one; what is
//! wrong with the database itself all are told at once.

mod attempt;
mod plan;
mod statement;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use staffa_domain::error::Unavailable;
use staffa_domain::ports::{RecordWriter, WriteSession};
use staffa_domain::{Operation, Outcome, SchemaSnapshot, StorageError, WriteOptions};

use crate::monitor::Health;
use crate::options::{Distribution, Options};
use crate::pool::Pool;
use crate::session;
use attempt::{Attempt, Failure, Terms};

/// How many requests, or records, one commit takes before the next is begun.
const REQUESTS_MAX: usize = 512;
const RECORDS_MAX: usize = 4_096;
/// How often a request that another got in the way of is tried again.
const CONFLICTS_MAX: usize = 3;

/// The write side of one database.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) sessions: Arc<Pool>,
    pub(crate) health: Arc<Health>,
    pub(crate) distribution: Distribution,
}

#[async_trait]
impl RecordWriter for Writer {
    async fn begin(
        &self,
        schema: &Arc<SchemaSnapshot>,
        options: WriteOptions,
    ) -> Result<Box<dyn WriteSession>, StorageError> {
        self.health.check_open()?;
        options.mode.check(schema.schema())?;
        let health = Arc::clone(&self.health);
        session::begin(
            &self.sessions,
            (schema, options),
            (health, self.distribution),
        )
        .await
    }

    async fn execute(&self, operations: Vec<Operation>) -> Result<Outcome, StorageError> {
        self.health.check_open()?;
        self.lanes.execute(operations).await
    }
}

/// One caller's list of operations.
#[derive(Debug)]
struct Request {
    operations: Vec<Operation>,
    since: Instant,
    answer: oneshot::Sender<Result<Outcome, StorageError>>,
}

/// The lanes and the queue to them.
#[derive(Debug)]
pub(crate) struct Lanes {
    queue: Mutex<Option<mpsc::Sender<Request>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Lanes {
    pub(crate) fn start(pool: &Arc<Pool>, health: &Arc<Health>, options: &Options) -> Self {
        let (sender, receiver) = mpsc::channel(options.write_queue.max(1));
        let lane = Lane {
            queue: Arc::new(tokio::sync::Mutex::new(receiver)),
            order: Arc::new(RwLock::new(())),
            pool: Arc::clone(pool),
            health: Arc::clone(health),
            distribution: options.distribution,
            patience: options.query_timeout,
            lock_patience: options.lock_timeout,
        };
        let tasks = (0..pool.size()).map(|_| tokio::spawn(lane.clone().keep_running()));
        Self {
            queue: Mutex::new(Some(sender)),
            tasks: Mutex::new(tasks.collect()),
        }
    }

    async fn execute(&self, operations: Vec<Operation>) -> Result<Outcome, StorageError> {
        let (answer, answered) = oneshot::channel();
        let Some(queue) = self.queue.lock().clone() else {
            return Err(StorageError::Unavailable(Unavailable::Draining));
        };
        let request = Request {
            operations,
            since: Instant::now(),
            answer,
        };
        queue.try_send(request).map_err(|error| {
            StorageError::Unavailable(match error {
                mpsc::error::TrySendError::Full(_) => Unavailable::Overloaded,
                mpsc::error::TrySendError::Closed(_) => Unavailable::Draining,
            })
        })?;
        drop(queue);
        // A lane that died may have died at a commit.
        let unknown = StorageError::Unavailable(Unavailable::CommitUnknown);
        answered.await.unwrap_or(Err(unknown))
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        let queue = self.queue.lock();
        queue
            .as_ref()
            .map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// Takes no more and waits until what was taken is answered.
    pub(crate) async fn close(&self) {
        self.queue.lock().take();
        let tasks: Vec<JoinHandle<()>> = self.tasks.lock().drain(..).collect();
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(error = %error, "a write lane died");
            }
        }
    }
}

/// The right to work: beside others, or alone.
enum Turn {
    Beside(#[expect(dead_code, reason = "held for its drop")] OwnedRwLockReadGuard<()>),
    Alone(#[expect(dead_code, reason = "held for its drop")] OwnedRwLockWriteGuard<()>),
}

#[derive(Clone)]
struct Lane {
    queue: Arc<tokio::sync::Mutex<mpsc::Receiver<Request>>>,
    order: Arc<RwLock<()>>,
    pool: Arc<Pool>,
    health: Arc<Health>,
    distribution: Distribution,
    /// How long a request may wait in the queue, and a commit for its answer.
    patience: Duration,
    /// How long requests that were held up by others are tried once more.
    lock_patience: Duration,
}

impl Lane {
    /// Works until the queue is closed; a bug that a request brings out costs that request.
    async fn keep_running(self) {
        while let Err(error) = tokio::spawn(self.clone().run()).await {
            if error.is_cancelled() {
                return;
            }
            tracing::error!(error = %error, "a write lane died and is started again");
        }
    }

    async fn run(self) {
        loop {
            let Some((mut requests, turn)) = self.next_requests().await else {
                return;
            };
            refuse_old(&mut requests, self.patience);
            match <[Request; 1]>::try_from(requests) {
                Ok([request]) => drop(self.serve_alone(request, false).await),
                Err(requests) if requests.is_empty() => {}
                Err(requests) => self.serve_together(requests).await,
            }
            drop(turn);
        }
    }

    /// Waits for a request, takes what waits behind it, and waits for its turn; nothing once
    /// the queue is closed. Turns are given in the order of the queue, which is held so long.
    async fn next_requests(&self) -> Option<(Vec<Request>, Turn)> {
        let mut queue = self.queue.lock().await;
        let first = queue.recv().await?;
        // Callers that were answered together ask again together: let them.
        tokio::task::yield_now().await;
        let mut records = records_of(&first);
        let mut requests = vec![first];
        let mut drain = |requests: &mut Vec<Request>| {
            while requests.len() < REQUESTS_MAX
                && records < RECORDS_MAX
                && let Ok(next) = queue.try_recv()
            {
                records += records_of(&next);
                requests.push(next);
            }
        };
        drain(&mut requests);
        let order = Arc::clone(&self.order);
        let turn = if requests.iter().all(only_creates) {
            Turn::Beside(order.read_owned().await)
        } else {
            let turn = order.write_owned().await;
            drain(&mut requests);
            Turn::Alone(turn)
        };
        Some((requests, turn))
    }

    async fn serve_together(&self, requests: Vec<Request>) {
        let answer = {
            let operations = requests.iter().flat_map(|request| &request.operations);
            let plan = plan::merged(operations.enumerate());
            self.attempt(&plan, false).await
        };
        let failure = match answer {
            Ok(outcome) => return tell_all(requests, || Ok(outcome)),
            Err(failure) => failure,
        };
        match failure.of_the_database() {
            Some(why) => tell_all(requests, || Err(StorageError::Unavailable(why))),
            None => {
                let waited = matches!(failure, Failure::Locked);
                self.serve_apart(requests, waited).await;
            }
        }
    }

    /// Carries out each request by itself. Once one was held up by work of others, the others
    /// do not wait long for theirs, those on its schemas are left for the end, and they have
    /// only so much time: whoever holds a lock for long must not stop all.
    async fn serve_apart(&self, requests: Vec<Request>, waited: bool) {
        let mut hasty = waited;
        let mut held_up = HashSet::new();
        let mut last = Vec::new();
        for request in requests {
            let schemas = schemas_of(&request);
            if schemas.iter().any(|name| held_up.contains(name)) {
                last.push(request);
            } else if matches!(self.serve_alone(request, hasty).await, Served::HeldUp) {
                hasty = true;
                held_up.extend(schemas);
            }
        }
        let end = Instant::now() + self.lock_patience;
        for request in last {
            if Instant::now() < end {
                self.serve_alone(request, true).await;
            } else {
                let _ = request.answer.send(Err(StorageError::Conflict));
            }
        }
    }

    async fn serve_alone(&self, request: Request, hasty: bool) -> Served {
        let answer = self.carry_out(&request.operations, hasty).await;
        let served = match &answer {
            Err(Failure::Locked) => Served::HeldUp,
            _ => Served::Otherwise,
        };
        let answer = answer.map_err(StorageError::from);
        if let Err(error) = &answer {
            self.health.note_error(error);
        }
        let _ = request.answer.send(answer);
        served
    }

    /// Carries out one request: first in few statements, and if that fails one by one, which
    /// tells the operation at fault.
    async fn carry_out(&self, operations: &[Operation], hasty: bool) -> Result<Outcome, Failure> {
        let mut conflicts = 0;
        let mut exact = matches!(operations, [only] if records_in(only) <= 1);
        loop {
            let plan = if exact {
                plan::single(operations)
            } else {
                plan::merged(operations.iter().enumerate())
            };
            match self.attempt(&plan, hasty).await {
                Ok(outcome) => return Ok(outcome),
                Err(Failure::Conflict) if conflicts < CONFLICTS_MAX => conflicts += 1,
                Err(Failure::Operation(_)) if !exact => exact = true,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Runs a plan in one transaction, again if the connection was lost before the commit
    /// was sent: until then nothing can have been kept.
    async fn attempt(&self, plan: &plan::Plan<'_>, hasty: bool) -> Result<Outcome, Failure> {
        let terms = Terms {
            distribution: self.distribution,
            patience: self.patience,
            hasty,
        };
        let mut again = 0;
        loop {
            let client = self.pool.get().await.map_err(Failure::Other)?;
            match Attempt::new(client, plan, terms).run().await {
                Ok(commit) => {
                    let commit = self.health.note_commit(commit);
                    return Ok(Outcome { commit });
                }
                // After a restart of the server every connection of the pool may be a dead one.
                Err(Failure::Lost | Failure::Stale) if again <= self.pool.size() => again += 1,
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// How a request came out, as far as it concerns others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    /// It waited too long for work of others.
    HeldUp,
    Otherwise,
}

/// Refuses what waited so long that its caller has hardly waited with it.
fn refuse_old(requests: &mut Vec<Request>, patience: Duration) {
    for request in requests.extract_if(.., |request| request.since.elapsed() > patience) {
        let overloaded = StorageError::Unavailable(Unavailable::Overloaded);
        let _ = request.answer.send(Err(overloaded));
    }
}

fn tell_all(requests: Vec<Request>, answer: impl Fn() -> Result<Outcome, StorageError>) {
    for request in requests {
        let _ = request.answer.send(answer());
    }
}

fn only_creates(request: &Request) -> bool {
    let mut operations = request.operations.iter();
    operations.all(|operation| matches!(operation, Operation::Create(_)))
}

fn schemas_of(request: &Request) -> HashSet<String> {
    let operations = request.operations.iter();
    operations
        .map(|operation| operation.schema().name().to_owned())
        .collect()
}

fn records_of(request: &Request) -> usize {
    request.operations.iter().map(records_in).sum()
}

fn records_in(operation: &Operation) -> usize {
    match operation {
        Operation::Create(batch) => batch.len(),
        _ => 1,
    }
}
