//! What accompanies one request through the use cases: its id, and where its time went.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

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
