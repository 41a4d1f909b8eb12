//! A bounded pool of threads, each with its own connection, for questions with small
//! answers. A caller that goes away interrupts its question.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use duckdb::{Connection, InterruptHandle};
use parking_lot::Mutex;
use staffa_domain::StorageError;
use tokio::sync::oneshot;

use crate::engine::{Engine, Link, draining, overloaded};

type Job = Box<dyn FnOnce(&Link) + Send>;

/// The sending side of the pool.
#[derive(Debug)]
pub(crate) struct Pool {
    inbox: Mutex<Option<Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

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
    pub(crate) fn start(engine: &Engine, name: &str, threads: usize) -> Result<Self, StorageError> {
        let (sender, receiver) = crossbeam_channel::bounded(engine.options.read_queue_max.max(1));
        let limit = engine.options.query_timeout.as_millis().max(1);
        let threads = (0..threads.max(1)).map(|index| {
            let link = engine.connect()?;
            set_time_limit(&link, limit)?;
            let receiver: Receiver<Job> = receiver.clone();
            std::thread::Builder::new()
                .name(format!("staffa-{name}-{index}"))
                .spawn(move || receiver.iter().for_each(|job| job(&link)))
                .map_err(StorageError::internal)
        });
        let threads = threads.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            inbox: Mutex::new(Some(sender)),
            threads: Mutex::new(threads),
        })
    }

    /// Asks a question and waits for the answer.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Link) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (answer, outcome) = oneshot::channel();
        let stage = Arc::new(Mutex::new(Stage::Waiting));
        let guard = Guard(Arc::clone(&stage));
        self.send(Box::new(move |link| {
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
        }))?;
        let result = outcome.await.map_err(|_| draining())?;
        drop(guard);
        result
    }

    fn send(&self, job: Job) -> Result<(), StorageError> {
        let inbox = self.inbox.lock();
        let sender = inbox.as_ref().ok_or(draining())?;
        sender.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => overloaded(),
            TrySendError::Disconnected(_) => draining(),
        })
    }

    /// How many questions wait.
    pub(crate) fn queued(&self) -> usize {
        self.inbox.lock().as_ref().map_or(0, Sender::len)
    }

    /// Takes no new questions, and gives out the threads to wait for.
    pub(crate) fn close(&self) -> Vec<JoinHandle<()>> {
        self.inbox.lock().take();
        std::mem::take(&mut *self.threads.lock())
    }
}

fn set_time_limit(connection: &Connection, millis: u128) -> Result<(), crate::error::Fault> {
    Ok(connection.execute_batch(&format!("SET max_execution_time = {millis}"))?)
}
