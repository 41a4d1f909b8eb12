//! The writer lane: one thread with its own connection, through which all short writes and
//! all changes of the catalog go, in order.

mod apply;
mod check;
mod doubt;
mod gather;
mod group;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use staffa_domain::{Operation, Outcome, StorageError};
use tokio::sync::oneshot;

pub(crate) use check::{UniqueKeys, id_violation, named_value, stored_violation};
pub(crate) use doubt::is_stored;
use gather::Gathering;

use crate::engine::{Engine, Link, draining};
use crate::inbox::{Feed, Inbox, Pause, Worker};
use crate::priority::Priority;

/// Where the answer to a write goes.
type Answer = oneshot::Sender<Result<Outcome, StorageError>>;
/// Work that must not run beside a write.
type Work = Box<dyn FnOnce(&Link) + Send>;

/// A list of operations and where its answer goes.
struct Write {
    operations: Vec<Operation>,
    answer: Answer,
}

impl Write {
    /// Answers. Where the caller has gone the work stands all the same.
    fn answer(self, outcome: Result<Outcome, StorageError>) {
        let _ = self.answer.send(outcome);
    }
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
        let capacity = engine.options.write_queue_max;
        let threads = vec![Writing::default()];
        Inbox::start(engine, ("lane", Priority::Prompt), capacity, threads).map(Self)
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

    /// How many requests wait.
    pub(crate) fn queued(&self) -> usize {
        self.0.queued()
    }

    /// Takes no new work, and gives out the threads to wait for.
    pub(crate) fn close(&self) -> Vec<JoinHandle<()>> {
        self.0.close()
    }
}

/// The thread.
#[derive(Default)]
struct Writing {
    waiting: VecDeque<Request>,
    /// Writes whose commit was under way when the engine was lost.
    in_doubt: Vec<Write>,
    gathering: Gathering,
}

impl Worker<Request> for Writing {
    fn work(&mut self, engine: &Engine, link: &Link, feed: &Feed<'_, Request>) -> Pause {
        let in_doubt = std::mem::take(&mut self.in_doubt);
        doubt::resolve(engine, link, in_doubt, &mut self.waiting);
        loop {
            if self.waiting.is_empty() {
                match feed.next() {
                    Ok(request) => self.waiting.push_back(request),
                    Err(pause) => return pause,
                }
            } else if engine.is_lost() {
                return Pause::Lost;
            }
            self.gathering.fill(feed, &mut self.waiting);
            match self.waiting.pop_front() {
                Some(Request::Work(work)) => {
                    work(link);
                    link.forget_plans();
                }
                Some(write @ Request::Write(_)) => {
                    self.waiting.push_front(write);
                    self.commit_next(engine, link, feed);
                }
                None => {}
            }
        }
    }
}

impl Writing {
    fn commit_next(&mut self, engine: &Engine, link: &Link, feed: &Feed<'_, Request>) {
        let started = Instant::now();
        let done = group::commit_next(engine, link, &mut self.waiting);
        self.in_doubt = done.in_doubt;
        let queued = self.waiting.len() + feed.len();
        self.gathering
            .learn(started.elapsed(), done.requests, queued);
    }
}
