//! The writer lane: one thread with its own connection, through which all short writes and
//! all changes of the catalog go, in order.

mod apply;
mod check;
mod group;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;
use staffa_domain::{Operation, Outcome, StorageError};
use tokio::sync::oneshot;

pub(crate) use apply::append;
pub(crate) use check::{UniqueKeys, id_violation, named_value, stored_violation};

use crate::engine::{Engine, Link, draining};
use crate::inbox::Inbox;

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
pub(crate) struct Lane(Inbox<Request>);

impl Lane {
    /// Starts the thread.
    pub(crate) fn start(engine: &Arc<Engine>) -> Result<Self, StorageError> {
        let links = vec![engine.connect()?];
        let capacity = engine.options.write_queue_max;
        let engine = Arc::clone(engine);
        let work = move |link: &Link, inbox: &Receiver<Request>| run(&engine, link, inbox);
        Inbox::start("lane", capacity, links, work).map(Self)
    }

    /// Queues a list of operations; the answer comes once it is durable.
    pub(crate) async fn execute(
        &self,
        operations: Vec<Operation>,
    ) -> Result<Outcome, StorageError> {
        let (answer, outcome) = oneshot::channel();
        self.0.send(Request::Write(Write { operations, answer }))?;
        outcome.await.map_err(|_| draining())?
    }

    /// Queues other work and waits for what it answers.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Link) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (answer, outcome) = oneshot::channel();
        self.0.send(Request::Work(Box::new(move |link| {
            // A caller that has gone does not undo what was done.
            let _ = answer.send(work(link));
        })))?;
        outcome.await.map_err(|_| draining())?
    }

    /// Queues work that answers nobody, if there is room.
    pub(crate) fn post(&self, work: impl FnOnce(&Link) + Send + 'static) {
        let _ = self.0.send(Request::Work(Box::new(work)));
    }

    /// How many requests wait.
    pub(crate) fn queued(&self) -> usize {
        self.0.queued()
    }

    /// Takes no new work, and gives out the threads to wait for.
    pub(crate) fn close(&self) -> Vec<JoinHandle<()>> {
        self.0.close()
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
