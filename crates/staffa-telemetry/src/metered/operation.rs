//! One operation of a port and its timings: a handle for each ending, kept, so that a call
//! neither looks anything up nor allocates.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use metrics::{Counter, Histogram};

use staffa_domain::StorageError;

use crate::metrics::{PORT_RECORDS, PORT_SECONDS, Registry};

use super::ending::Ending;

/// What is timed. Endings other than the good one are registered when they first happen:
/// most never do, and each would add a histogram of zeros to every scrape.
#[derive(Debug)]
pub(super) struct Operation {
    port: &'static str,
    name: &'static str,
    registry: Registry,
    seconds: [OnceLock<Histogram>; Ending::COUNT],
}

impl Operation {
    pub(super) fn new(registry: &Registry, port: &'static str, name: &'static str) -> Arc<Self> {
        let operation = Self {
            port,
            name,
            registry: registry.clone(),
            seconds: [const { OnceLock::new() }; Ending::COUNT],
        };
        operation.histogram(Ending::Done);
        Arc::new(operation)
    }

    /// Counts the records that pass this operation.
    pub(super) fn records(&self) -> Counter {
        let labels = [("port", self.port), ("operation", self.name)];
        self.registry.counter(PORT_RECORDS, &labels)
    }

    /// Times a call from its first poll to its answer, or to where it is dropped.
    pub(super) async fn time<T>(
        self: &Arc<Self>,
        call: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        let mut timer = self.start_at(Instant::now());
        let result = call.await;
        timer.set(Ending::of(&result));
        if let Err(error) = &result {
            self.log(error);
        }
        result
    }

    pub(super) fn start_at(self: &Arc<Self>, since: Instant) -> Timer {
        Timer {
            operation: Arc::clone(self),
            since,
            ending: Ending::Cancelled,
        }
    }

    pub(super) fn log(&self, error: &StorageError) {
        let (port, operation) = (self.port, self.name);
        let outcome = Ending::of_error(error).as_str();
        tracing::debug!(port, operation, outcome, %error, "storage operation failed");
    }

    fn histogram(&self, ending: Ending) -> &Histogram {
        self.seconds[ending as usize].get_or_init(|| {
            let labels = [
                ("port", self.port),
                ("operation", self.name),
                ("outcome", ending.as_str()),
            ];
            self.registry.histogram(PORT_SECONDS, &labels)
        })
    }
}

/// Records its operation's time when dropped, as cancelled unless it was told another ending.
#[derive(Debug)]
pub(super) struct Timer {
    operation: Arc<Operation>,
    since: Instant,
    ending: Ending,
}

impl Timer {
    pub(super) const fn set(&mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let seconds = self.since.elapsed().as_secs_f64();
        self.operation.histogram(self.ending).record(seconds);
    }
}
