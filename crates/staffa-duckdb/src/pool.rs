//! A bounded pool of threads, each with its own connection, for questions with small
//! answers. A caller that goes away interrupts its question.

use std::sync::Arc;
use std::thread::JoinHandle;

use duckdb::{Connection, InterruptHandle};
use parking_lot::Mutex;
use staffa_domain::StorageError;
use tokio::sync::oneshot;

use crate::engine::{Engine, Link, draining};
use crate::inbox::{Feed, Inbox, Pause, Worker};
use crate::priority::Priority;

type Job = Box<dyn FnOnce(&Link) + Send>;

/// The sending side of the pool.
#[derive(Debug)]
pub(crate) struct Pool(Inbox<Job>);

/// Where a question stands. The lock makes sure that an interrupt meets no other question
/// of the same connection.
enum Stage {
    Waiting,
    Running(Arc<InterruptHandle>),
    Over,
}

/// Interrupts a question when its caller goes away.
struct Guard(Arc<Mutex<Stage>>);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut stage = self.0.lock();
        if let Stage::Running(handle) = &*stage {
            handle.interrupt();
        }
        *stage = Stage::Over;
    }
}

impl Pool {
    /// Starts the threads.
    pub(crate) fn start(
        engine: &Arc<Engine>,
        name: &str,
        threads: usize,
    ) -> Result<Self, StorageError> {
        let threads = (0..threads.max(1)).map(|_| Asker).collect();
        let capacity = engine.options.read_queue_max;
        Inbox::start(engine, (name, Priority::Middle), capacity, threads).map(Self)
    }

    /// Asks a question and waits for the answer.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Link) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (answer, outcome) = oneshot::channel();
        let stage = Arc::new(Mutex::new(Stage::Waiting));
        let guard = Guard(Arc::clone(&stage));
        self.send(move |link| {
            {
                let mut stage = stage.lock();
                if matches!(*stage, Stage::Over) {
                    return;
                }
                *stage = Stage::Running(link.interrupt_handle());
            }
            let result = question(link);
            *stage.lock() = Stage::Over;
            // Nobody listens where the caller has gone.
            let _ = answer.send(result);
        })?;
        let result = outcome.await.map_err(|_| draining())?;
        drop(guard);
        result
    }

    /// Queues work that sees for itself whether anybody waits for it.
    pub(crate) fn send(
        &self,
        job: impl FnOnce(&Link) + Send + 'static,
    ) -> Result<(), StorageError> {
        self.0.send(Box::new(job))
    }

    /// How many questions wait.
    pub(crate) fn queued(&self) -> usize {
        self.0.queued()
    }

    /// Takes no new questions, and gives out the threads to wait for.
    pub(crate) fn close(&self) -> Vec<JoinHandle<()>> {
        self.0.close()
    }
}

/// A thread of the pool.
struct Asker;

impl Worker<Job> for Asker {
    fn work(&mut self, engine: &Engine, link: &Link, feed: &Feed<'_, Job>) -> Pause {
        let limit = engine.options.query_timeout.as_millis().max(1);
        if let Err(fault) = set_time_limit(link, limit) {
            // Without it a question could take for ever.
            tracing::error!(error = %fault, "a connection takes no time limit");
            engine.mark_lost();
        }
        loop {
            match feed.next() {
                Ok(job) => job(link),
                Err(pause) => return pause,
            }
        }
    }
}

fn set_time_limit(connection: &Connection, millis: u128) -> Result<(), crate::error::Fault> {
    Ok(connection.execute_batch(&format!("SET max_execution_time = {millis}"))?)
}
