//! A bounded queue and the threads that work it off, each with its own connection.

use std::fmt;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use parking_lot::Mutex;
use staffa_domain::StorageError;

use crate::engine::{Link, draining, overloaded};

/// The sending side. The threads end once it is closed and what waits is done.
pub(crate) struct Inbox<T> {
    sender: Mutex<Option<Sender<T>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<T: Send + 'static> Inbox<T> {
    /// Starts one thread a connection; each runs `work` until the queue is closed and empty.
    pub(crate) fn start(
        name: &str,
        capacity: usize,
        links: Vec<Link>,
        work: impl Fn(&Link, &Receiver<T>) + Clone + Send + 'static,
    ) -> Result<Self, StorageError> {
        let (sender, receiver) = crossbeam_channel::bounded(capacity.max(1));
        let threads = links.into_iter().enumerate().map(|(index, link)| {
            let (receiver, work) = (receiver.clone(), work.clone());
            std::thread::Builder::new()
                .name(format!("staffa-{name}-{index}"))
                .spawn(move || work(&link, &receiver))
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

impl<T> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}
