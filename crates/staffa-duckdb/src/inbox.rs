//! A bounded queue and the threads that work it off, each with its own connection, which it
//! gives back while the engine is opened again.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use parking_lot::Mutex;
use staffa_domain::StorageError;

use crate::engine::{Engine, LOOK_PERIOD, Link, draining, overloaded};
use crate::priority::Priority;

/// Why a thread gets nothing more on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// The queue is closed and empty.
    Closed,
    /// The engine is lost: a thread that keeps its connection would keep it from being closed.
    Lost,
}

/// Where a thread takes its work from.
pub(crate) struct Feed<'a, T> {
    engine: &'a Engine,
    receiver: Receiver<T>,
}

impl<T> Feed<'_, T> {
    /// Waits for the next item.
    pub(crate) fn next(&self) -> Result<T, Pause> {
        loop {
            if self.engine.is_lost() {
                return Err(Pause::Lost);
            }
            match self.receiver.recv_timeout(LOOK_PERIOD) {
                Ok(item) => return Ok(item),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Pause::Closed),
            }
        }
    }

    /// The next item, if one waits.
    pub(crate) fn queued(&self) -> Option<T> {
        self.receiver.try_recv().ok()
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }
}

/// What a thread does, as long as it has its connection.
pub(crate) trait Worker<T>: Send + 'static {
    /// Works until the feed pauses. What it keeps in itself outlives the connection.
    fn work(&mut self, engine: &Engine, link: &Link, feed: &Feed<'_, T>) -> Pause;
}

/// The sending side. The threads end once it is closed and what waits is done.
pub(crate) struct Inbox<T> {
    sender: Mutex<Option<Sender<T>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<T: Send + 'static> Inbox<T> {
    /// Starts one thread of a priority for each worker.
    pub(crate) fn start<W: Worker<T>>(
        engine: &Arc<Engine>,
        (name, priority): (&str, Priority),
        capacity: usize,
        workers: Vec<W>,
    ) -> Result<Self, StorageError> {
        let (sender, receiver) = crossbeam_channel::bounded(capacity.max(1));
        let threads = workers.into_iter().enumerate().map(|(index, worker)| {
            let (engine, receiver) = (Arc::clone(engine), receiver.clone());
            std::thread::Builder::new()
                .name(format!("staffa-{name}-{index}"))
                .spawn(move || {
                    priority.take();
                    run(&engine, receiver, worker);
                })
                .map_err(StorageError::internal)
        });
        let threads = threads.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            sender: Mutex::new(Some(sender)),
            threads: Mutex::new(threads),
        })
    }

    /// Queues an item, or refuses it at once where the queue is full or closed.
    pub(crate) fn send(&self, item: T) -> Result<(), StorageError> {
        let sender = self.sender.lock();
        let sender = sender.as_ref().ok_or(draining())?;
        sender.try_send(item).map_err(|error| match error {
            TrySendError::Full(_) => overloaded(),
            TrySendError::Disconnected(_) => draining(),
        })
    }

    /// How many items wait.
    pub(crate) fn queued(&self) -> usize {
        self.sender.lock().as_ref().map_or(0, Sender::len)
    }

    /// Takes nothing new, and gives out the threads to wait for.
    pub(crate) fn close(&self) -> Vec<JoinHandle<()>> {
        self.sender.lock().take();
        std::mem::take(&mut *self.threads.lock())
    }
}

fn run<T>(engine: &Engine, receiver: Receiver<T>, mut worker: impl Worker<T>) {
    let feed = Feed { engine, receiver };
    while let Some(link) = engine.wait_for_link() {
        let pause = worker.work(engine, &link, &feed);
        drop(link);
        if pause == Pause::Closed {
            return;
        }
    }
}

impl<T> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}
