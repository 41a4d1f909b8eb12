//! The streams of HTTP/2 connections: each is a task of its own, and one whose client takes
//! nothing of its answer is reset without harm to the others.
//!
//! A client of HTTP/1 that takes nothing holds up its socket, which `guarded` sees. One of
//! HTTP/2 holds up a stream alone: the socket stays free for whatever keeps it alive.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::rt::Executor;

use super::pulse::{Moment, lasted};

tokio::task_local! {
    static TAKING: Arc<Taking>;
}

/// Runs streams as tasks.
#[derive(Debug, Clone)]
pub(super) struct StreamExecutor {
    pub(super) write_timeout: Duration,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let taking = Arc::new(Taking::default());
        let timeout = self.write_timeout;
        tokio::spawn(async move {
            let stream = TAKING.scope(Arc::clone(&taking), stream);
            tokio::select! {
                () = stream => {}
                // Dropping a stream that is not over resets it.
                () = lasted(timeout, || taking.since()) => {
                    tracing::debug!("a stream was reset, as its client took nothing of it");
                }
            }
        });
    }
}

/// Whether a client has yet to take what it was given of an answer.
#[derive(Debug, Default)]
pub(super) struct Taking {
    is_owed: AtomicBool,
    since: Moment,
}

impl Taking {
    /// That of the stream in whose task this is asked; none on an HTTP/1 connection.
    pub(super) fn current() -> Option<Arc<Self>> {
        TAKING.try_with(Arc::clone).ok()
    }

    /// The client was given something.
    pub(super) fn begin(&self) {
        self.since.set();
        self.is_owed.store(true, Ordering::Relaxed);
    }

    /// It took all of it.
    pub(super) fn end(&self) {
        self.is_owed.store(false, Ordering::Relaxed);
    }

    fn since(&self) -> Option<tokio::time::Instant> {
        let is_owed = self.is_owed.load(Ordering::Relaxed);
        is_owed.then(|| self.since.get())
    }
}
