//! How the database fares, as those who work with it see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use tokio::sync::Notify;

use staffa_domain::StorageError;
use staffa_domain::error::Unavailable;
use staffa_domain::ports::{EngineMonitor, EngineState, Gauge};

use crate::catalog::Listener;
use crate::error;
use crate::lane::Lanes;
use crate::mend::Mender;
use crate::point::Points;
use crate::pool::Pool;

/// What was last seen of the server. A fault is noted where it is met; that it is over is
/// noted by whoever meets that first, at the latest by the [`Mender`].
#[derive(Debug, Default)]
pub(crate) struct Health {
    lost: AtomicBool,
    full: AtomicBool,
    closed: AtomicBool,
    commit: AtomicU64,
    trouble: Notify,
}

impl Health {
    pub(crate) fn note_answer(&self) {
        self.lost.store(false, Ordering::Relaxed);
    }

    pub(crate) fn note_lost(&self) {
        self.lost.store(true, Ordering::Relaxed);
        self.trouble.notify_one();
    }

    pub(crate) fn note_room(&self) {
        self.full.store(false, Ordering::Relaxed);
    }

    /// A commit is durable. Answers its number where the server did not say it.
    pub(crate) fn note_commit(&self, commit: Option<u64>) -> u64 {
        self.note_room();
        let commit = commit.unwrap_or_else(|| self.commit.load(Ordering::Relaxed) + 1);
        self.commit.fetch_max(commit, Ordering::Relaxed);
        commit
    }

    pub(crate) fn note_error(&self, error: &StorageError) {
        if matches!(error, StorageError::StorageFull) {
            if !self.full.swap(true, Ordering::Relaxed) {
                tracing::error!("the database has no room left");
            }
            self.trouble.notify_one();
        }
    }

    /// Returns when a fault was noted since it last returned.
    pub(crate) async fn trouble(&self) {
        self.trouble.notified().await;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Whether something is noted that may be over by now.
    pub(crate) fn is_troubled(&self) -> bool {
        self.is_full() || self.lost.load(Ordering::Relaxed)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Refuses work on a closed storage.
    pub(crate) fn check_open(&self) -> Result<(), StorageError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Unavailable(Unavailable::Draining));
        }
        Ok(())
    }

    fn state(&self) -> EngineState {
        if self.closed.load(Ordering::Acquire) {
            EngineState::Closed
        } else if self.lost.load(Ordering::Relaxed) {
            EngineState::Reopening
        } else if self.is_full() {
            EngineState::Full
        } else {
            EngineState::Ready
        }
    }
}

/// Watches over the parts of the adapter and closes them.
#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) health: Arc<Health>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) points: Arc<Points>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) mender: Mender,
    pub(crate) reads: Arc<Pool>,
    pub(crate) streams: Arc<Pool>,
    pub(crate) bulk: Arc<Pool>,
}

#[async_trait]
impl EngineMonitor for Monitor {
    fn state(&self) -> EngineState {
        self.health.state()
    }

    fn gauges(&self) -> Vec<Gauge> {
        #[expect(clippy::cast_precision_loss, reason = "a gauge needs no exact digits")]
        let gauge = |name, value: usize| Gauge {
            name,
            value: value as f64,
        };
        vec![
            gauge("write_queue_requests", self.lanes.waiting()),
            gauge("read_connections_busy", self.reads.busy()),
            gauge("stream_connections_busy", self.streams.busy()),
            gauge("bulk_connections_busy", self.bulk.busy()),
            gauge("bulk_queue_length", self.bulk.waiting()),
        ]
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.health.check_open()?;
        let client = self.reads.get().await?;
        client.batch_execute("SELECT 1").await.map_err(error::plain)
    }

    async fn close(&self) {
        self.health.close();
        self.lanes.close().await;
        self.points.close();
        self.listener.close();
        self.mender.stop();
        for pool in [&self.reads, &self.streams, &self.bulk] {
            pool.close();
        }
    }
}
