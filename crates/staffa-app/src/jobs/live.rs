//! The jobs of this process: their places, how far they are, and their end.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use staffa_domain::error::Unavailable;
use staffa_domain::ports::{SchemaChange, Spool, SpoolPart, SpoolWriter, Spooled};
use staffa_domain::{RecordId, StorageError, Timestamp};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Head, Job, Started, TellFailure};
use crate::body::BodyError;
use crate::context::Progress;
use crate::error::Error;
use crate::limits::Limits;

/// The jobs that wait and run in this process, and where their files are.
pub struct Jobs {
    pub(super) spool: Arc<dyn Spool>,
    pub(super) tell_failure: TellFailure,
    /// None for one whose body is still being received.
    live: Mutex<HashMap<RecordId, Option<Arc<Live>>>>,
    live_max: usize,
    spooled: AtomicU64,
    spooled_max: u64,
    pub(super) running: Arc<Semaphore>,
    running_max: usize,
    /// No job is begun any more.
    pub(super) draining: CancellationToken,
    /// Those that run are given up.
    pub(super) cut: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs")
            .field("spool", &self.spool)
            .finish_non_exhaustive()
    }
}

impl Jobs {
    /// No jobs yet. What went wrong with one is told in the words of `tell_failure`.
    pub fn new(spool: Arc<dyn Spool>, tell_failure: TellFailure, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            spool,
            tell_failure,
            live: Mutex::default(),
            live_max: limits
                .jobs_running_max
                .saturating_add(limits.jobs_queued_max),
            spooled: AtomicU64::new(0),
            spooled_max: limits.spool_bytes_max,
            running: Arc::new(Semaphore::new(limits.jobs_running_max)),
            running_max: limits.jobs_running_max,
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    pub(crate) async fn spool_name(&self) -> Result<String, StorageError> {
        self.spool.name().await
    }

    pub(crate) async fn create(
        &self,
        job: RecordId,
        part: SpoolPart,
    ) -> Result<Box<dyn SpoolWriter>, StorageError> {
        self.spool.create(job, part).await
    }

    pub(crate) async fn open(
        &self,
        job: RecordId,
        part: SpoolPart,
    ) -> Result<Option<Spooled>, StorageError> {
        self.spool.open(job, part).await
    }

    /// How many jobs run here, and how many wait for that.
    pub fn count(&self) -> (usize, usize) {
        let running = self.running_max - self.running.available_permits().min(self.running_max);
        (running, self.lock().len().saturating_sub(running))
    }

    /// Takes a place for a job that is about to be received.
    pub(crate) fn take_place(self: &Arc<Self>, id: RecordId) -> Result<Place, Error> {
        if self.draining.is_cancelled() {
            return Err(StorageError::Unavailable(Unavailable::Draining).into());
        }
        let mut live = self.lock();
        if live.len() >= self.live_max {
            return Err(StorageError::Unavailable(Unavailable::Overloaded).into());
        }
        live.insert(id, None);
        drop(live);
        Ok(self.place(id))
    }

    /// Takes a place for a job that was accepted before this process began; none where it has
    /// one already. It takes no more bytes than it had.
    pub(super) fn retake_place(self: &Arc<Self>, id: RecordId, bytes: u64) -> Option<Place> {
        let mut live = self.lock();
        if live.contains_key(&id) {
            return None;
        }
        live.insert(id, None);
        drop(live);
        let place = self.place(id);
        self.spooled.fetch_add(bytes, Ordering::Relaxed);
        place.bytes.store(bytes, Ordering::Relaxed);
        Some(place)
    }

    fn place(self: &Arc<Self>, id: RecordId) -> Place {
        Place {
            jobs: Arc::clone(self),
            id,
            bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn find(&self, id: RecordId) -> Option<Arc<Live>> {
        self.lock().get(&id)?.clone()
    }

    pub(super) fn is_here(&self, id: RecordId) -> bool {
        self.lock().contains_key(&id)
    }

    pub(super) fn all(&self) -> Vec<Arc<Live>> {
        self.lock().values().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RecordId, Option<Arc<Live>>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job's place among those of this process, until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    jobs: Arc<Jobs>,
    id: RecordId,
    bytes: AtomicU64,
}

impl Place {
    pub(crate) const fn id(&self) -> RecordId {
        self.id
    }

    /// Counts bytes of the body that are about to be kept.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), BodyError> {
        let own = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let all = self.jobs.spooled.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let max_bytes = self.jobs.spooled_max;
        if own > max_bytes {
            return Err(BodyError::TooLarge { max_bytes });
        }
        if all > max_bytes {
            return Err(BodyError::NoRoom);
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Begins to be a job.
    pub(super) fn enter(&self, head: Head, change: Option<SchemaChange>) -> Arc<Live> {
        let live = Arc::new(Live::new(head, change));
        self.jobs.lock().insert(self.id, Some(Arc::clone(&live)));
        live
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let bytes = self.bytes();
        self.jobs.spooled.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(Some(live)) = self.jobs.lock().remove(&self.id) {
            live.over.send_replace(true);
        }
    }
}

/// A job that waits or runs in this process.
#[derive(Debug)]
pub(crate) struct Live {
    /// As it was when it began here.
    pub(super) head: Head,
    /// What is done to a schema; none for a bulk write, and where it is as it is to be.
    pub(super) change: Option<SchemaChange>,
    started_at: Mutex<Option<Timestamp>>,
    updated_at: Mutex<Timestamp>,
    pub(super) bytes_read: Arc<AtomicU64>,
    progress: Mutex<Arc<Progress>>,
    /// The version of the stored record; held while that is written.
    pub(super) version: tokio::sync::Mutex<i64>,
    pub(crate) cancelled: CancellationToken,
    /// It is removed with its files, though it has ended.
    pub(crate) removed: CancellationToken,
    /// Its end is stored; what failed may still be looked up.
    ended: AtomicBool,
    over: watch::Sender<bool>,
}

impl Live {
    fn new(head: Head, change: Option<SchemaChange>) -> Self {
        Self {
            started_at: Mutex::new(None),
            updated_at: Mutex::new(head.updated_at),
            bytes_read: Arc::default(),
            progress: Mutex::default(),
            version: tokio::sync::Mutex::new(head.version),
            cancelled: CancellationToken::new(),
            removed: CancellationToken::new(),
            ended: AtomicBool::new(false),
            over: watch::Sender::new(false),
            head,
            change,
        }
    }

    pub(crate) const fn id(&self) -> RecordId {
        self.head.id
    }

    /// A run begins; what an earlier one has counted is forgotten.
    pub(super) fn start(&self, at: Timestamp) -> Arc<Progress> {
        *lock(&self.started_at) = Some(at);
        self.bytes_read.store(0, Ordering::Relaxed);
        let progress = Arc::<Progress>::default();
        *lock(&self.progress) = Arc::clone(&progress);
        progress
    }

    /// It begins what cannot be stopped any more; false where it was called off before.
    pub(super) fn begin(&self, at: Timestamp) -> bool {
        let mut started_at = lock(&self.started_at);
        let begins = !self.cancelled.is_cancelled();
        if begins {
            *started_at = Some(at);
        }
        begins
    }

    /// Calls it off; false where it has begun.
    pub(crate) fn call_off(&self) -> bool {
        let started_at = lock(&self.started_at);
        let waits = started_at.is_none();
        if waits {
            self.cancelled.cancel();
        }
        waits
    }

    /// How far it is.
    pub(super) fn started(&self) -> Started {
        let progress = lock(&self.progress);
        Started {
            bytes_read: self.bytes_read.load(Ordering::Relaxed),
            received: progress.received(),
            failed: progress.failed(),
            ..Started::new(*lock(&self.started_at))
        }
    }

    /// Its record as it is now, for the version after `version`.
    pub(super) fn next_head(&self, version: i64, at: Timestamp) -> Head {
        *lock(&self.updated_at) = at;
        Head {
            version: version + 1,
            ..self.head_now()
        }
    }

    fn head_now(&self) -> Head {
        Head {
            started: self.started(),
            updated_at: *lock(&self.updated_at),
            ..self.head.clone()
        }
    }

    /// The job as it is now.
    pub(crate) fn job(&self) -> Job {
        self.head_now().job(None)
    }

    /// Its end is stored.
    pub(super) fn set_ended(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether its end is stored, and tells how it fared.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Returns once it is over here: with its files in order.
    pub(crate) async fn wait(&self) {
        let mut over = self.over.subscribe();
        // The sender is a part of this, so that it cannot go first.
        let _ = over.wait_for(|is_over| *is_over).await;
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
