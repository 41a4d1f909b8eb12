//! The writer lane: one thread with its own connection, through which all short writes and
//! all changes of the catalog go, in order.

mod apply;
mod check;
mod group;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use parking_lot::Mutex;
use staffa_domain::{Operation, Outcome, StorageError};
use tokio::sync::oneshot;

pub(crate) use apply::append;
pub(crate) use check::{UniqueKeys, id_violation, named_value, stored_violation};
pub(crate) use group::append_only;

use crate::engine::{Engine, Link, draining, overloaded};

/// How many requests one commit takes at most.
const GROUP_REQUESTS_MAX: usize = 1024;

/// Where the answer to a write goes.
type Answer = oneshot::Sender<Result<Outcome, StorageError>>;
/// Work that must not run beside a write.
type Work = Box<dyn FnOnce(&Link) + Send>;

/// A list of operations and where its answer goes.
struct Write {
    operations: Vec<Operation>,
    answer: Answer,
}

enum Request {
    Write(Write),
    Work(Work),
}

/// The sending side of the lane.
#[derive(Debug)]
pub(crate) struct Lane {
    inbox: Mutex<Option<Sender<Request>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Lane {
    /// Starts the thread.
    pub(crate) fn start(engine: &Arc<Engine>) -> Result<Self, StorageError> {
        let (sender, receiver) = crossbeam_channel::bounded(engine.options.write_queue_max.max(1));
        let link = engine.connect()?;
        let engine = Arc::clone(engine);
        let thread = std::thread::Builder::new()
            .name("staffa-lane".to_owned())
            .spawn(move || run(&engine, &link, &receiver))
            .map_err(StorageError::internal)?;
        Ok(Self {
            inbox: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues a list of operations; the answer comes once it is durable.
    pub(crate) async fn execute(
        &self,
        operations: Vec<Operation>,
    ) -> Result<Outcome, StorageError> {
        let (answer, outcome) = oneshot::channel();
        self.send(Request::Write(Write { operations, answer }))?;
        outcome.await.map_err(|_| draining())?
    }

    /// Queues other work and waits for what it answers.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Link) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (answer, outcome) = oneshot::channel();
        self.send(Request::Work(Box::new(move |link| {
            // A caller that has gone does not undo what was done.
            let _ = answer.send(work(link));
        })))?;
        outcome.await.map_err(|_| draining())?
    }

    /// Queues work that answers nobody, if there is room.
    pub(crate) fn post(&self, work: impl FnOnce(&Link) + Send + 'static) {
        let _ = self.send(Request::Work(Box::new(work)));
    }

    fn send(&self, request: Request) -> Result<(), StorageError> {
        let inbox = self.inbox.lock();
        let sender = inbox.as_ref().ok_or(draining())?;
        sender.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => overloaded(),
            TrySendError::Disconnected(_) => draining(),
        })
    }

    /// How many requests wait.
    pub(crate) fn queued(&self) -> usize {
        self.inbox.lock().as_ref().map_or(0, Sender::len)
    }

    /// Takes no new work, and gives out the thread to wait for.
    pub(crate) fn close(&self) -> Option<JoinHandle<()>> {
        self.inbox.lock().take();
        self.thread.lock().take()
    }
}

fn run(engine: &Engine, link: &Link, inbox: &Receiver<Request>) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Ok(request) = inbox.recv() else { return };
            waiting.push_back(request);
        }
        // What arrived while the last commit was under way shares the next one.
        while waiting.len() < GROUP_REQUESTS_MAX
            && let Ok(request) = inbox.try_recv()
        {
            waiting.push_back(request);
        }
        match waiting.pop_front() {
            Some(Request::Work(work)) => work(link),
            Some(write @ Request::Write(_)) => {
                waiting.push_front(write);
                group::commit_next(engine, link, &mut waiting);
            }
            None => {}
        }
    }
}
