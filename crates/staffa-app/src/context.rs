//! What accompanies one request through the use cases: its id, and where its time went.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::body::BodyError;
use crate::memory::{Held, Share};
use crate::once::Once;

/// A part of a request's work, for `Server-Timing` and the request's log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// From bytes to typed arrays.
    Decode,
    /// The rules of the schema.
    Validate,
    /// Waiting for the storage engine.
    Engine,
    /// From arrays to bytes.
    Encode,
}

/// One request's context. Shared by reference; the counters may be raised from any task.
#[derive(Debug, Default)]
pub struct Context {
    request_id: String,
    micros: [AtomicU64; 4],
    records: AtomicU64,
    once: OnceLock<Once>,
    progress: OnceLock<Arc<Progress>>,
    held: Held,
    turn_within: Option<Duration>,
}

/// How far a bulk write has come, for whoever watches it.
#[derive(Debug, Default)]
pub struct Progress {
    received: AtomicU64,
    failed: AtomicU64,
}

impl Progress {
    /// Records that were read and checked.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Those of them that broke a rule. The engine may refuse more.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Context {
    /// A context for the request with this id.
    pub fn new(request_id: impl Into<String>) -> Self {
        Self {
            request_id: request_id.into(),
            ..Self::default()
        }
    }

    /// The same, with a part of the memory that requests share.
    #[must_use]
    pub fn holding(self, held: Held) -> Self {
        Self { held, ..self }
    }

    /// The same, for a request that waits so long at most for its turn among bulk writes.
    #[must_use]
    pub fn taking_turns_within(self, patience: Duration) -> Self {
        Self {
            turn_within: Some(patience),
            ..self
        }
    }

    /// How long it waits for its turn at most; as long as it takes when absent.
    pub(crate) const fn turn_within(&self) -> Option<Duration> {
        self.turn_within
    }

    /// Holds so many bytes more until the request has been answered.
    pub fn hold(&self, bytes: usize) -> Result<(), BodyError> {
        self.held.take(bytes as u64)
    }

    /// What a part of the work is going to hold: nothing yet.
    pub(crate) const fn share(&self) -> Share<'_> {
        Share::of(&self.held)
    }

    /// The request's id.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Says that the request has a key, under which its answer is to be kept. Once at most.
    pub fn set_once(&self, once: Once) {
        let _ = self.once.set(once);
    }

    /// The request's key, where it has one.
    pub fn once(&self) -> Option<&Once> {
        self.once.get()
    }

    /// Lets somebody watch the progress of a bulk write. Once at most.
    pub fn set_progress(&self, progress: Arc<Progress>) {
        let _ = self.progress.set(progress);
    }

    /// Says how many records of a bulk write were read, and how many of them broke a rule.
    pub(crate) fn note(&self, received: u64, failed: u64) {
        if let Some(progress) = self.progress.get() {
            progress.received.store(received, Ordering::Relaxed);
            progress.failed.store(failed, Ordering::Relaxed);
        }
    }

    /// Runs `work` and adds its time to a stage.
    pub fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.add(stage, start);
        result
    }

    /// Awaits `work` and adds its time to a stage.
    pub async fn time_async<T>(&self, stage: Stage, work: impl Future<Output = T> + Send) -> T {
        let start = Instant::now();
        let result = work.await;
        self.add(stage, start);
        result
    }

    fn add(&self, stage: Stage, start: Instant) {
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.micros[stage as usize].fetch_add(micros, Ordering::Relaxed);
    }

    /// The microseconds spent in a stage so far.
    pub fn micros(&self, stage: Stage) -> u64 {
        self.micros[stage as usize].load(Ordering::Relaxed)
    }

    /// Counts records read or written for the log line.
    pub fn count_records(&self, records: usize) {
        self.records.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// The records counted so far.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }
}
