//! How the engine fares, and how it closes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use staffa_domain::StorageError;
use staffa_domain::ports::{EngineMonitor, EngineState, Gauge};
use tokio::sync::Semaphore;

use crate::engine::Engine;
use crate::lane::Lane;
use crate::pool::Pool;
use crate::reader::Reader;
use crate::session::Writer;
use crate::upkeep::{Upkeep, wal_bytes};

/// The monitor port.
#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) engine: Arc<Engine>,
    pub(crate) lane: Arc<Lane>,
    /// What reads the catalog.
    pub(crate) schemas: Arc<Pool>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) upkeep: Upkeep,
}

#[async_trait]
impl EngineMonitor for Monitor {
    fn state(&self) -> EngineState {
        self.engine.state()
    }

    fn gauges(&self) -> Vec<Gauge> {
        let database = std::fs::metadata(&self.engine.path).map_or(0, |metadata| metadata.len());
        let gauge = |name, value: u64| {
            #[expect(clippy::cast_precision_loss, reason = "a gauge needs no exact digits")]
            let value = value as f64;
            Gauge { name, value }
        };
        let open = |count: &std::sync::atomic::AtomicUsize| count.load(Ordering::Acquire) as u64;
        vec![
            gauge("wal_bytes", wal_bytes(&self.engine)),
            gauge("database_bytes", database),
            gauge("write_queue_length", self.lane.queued() as u64),
            gauge("point_queue_length", self.reader.points.queued() as u64),
            gauge("read_queue_length", self.reader.pool.queued() as u64),
            gauge("streams_open", open(&self.engine.streams_open)),
            gauge("streams_spooled_total", open(&self.engine.streams_spooled)),
            gauge("bulk_sessions_open", open(&self.engine.sessions_open)),
            gauge("bulk_queue_length", open(&self.engine.sessions_waiting)),
            gauge("commit_sequence", self.engine.last_commit()),
        ]
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.reader.probe().await
    }

    async fn close(&self) {
        if !self.engine.mark_closed() {
            return;
        }
        let options = &self.engine.options;
        drain(
            &self.writer.sessions,
            options.bulk_sessions_max,
            options.close_grace,
        )
        .await;
        drain(
            &self.reader.streams,
            options.stream_threads,
            options.close_grace,
        )
        .await;
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        threads.extend(self.upkeep.close());
        threads.extend(self.lane.close());
        threads.extend(self.schemas.close());
        threads.extend(self.reader.points.close());
        threads.extend(self.reader.pool.close());
        let engine = Arc::clone(&self.engine);
        let ended = tokio::task::spawn_blocking(move || end(&engine, threads)).await;
        if let Err(error) = ended {
            tracing::error!(%error, "closing failed");
        }
    }
}

/// Waits until all that a semaphore let in has left, or for the grace.
async fn drain(semaphore: &Semaphore, permits: usize, grace: Duration) {
    let all = u32::try_from(permits.max(1)).unwrap_or(u32::MAX);
    if tokio::time::timeout(grace, semaphore.acquire_many(all))
        .await
        .is_err()
    {
        tracing::warn!("closing although streams or bulk sessions are still open");
    }
    semaphore.close();
}

fn end(engine: &Engine, threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread of the engine panicked");
        }
    }
    if let Some(root) = engine.take_root()
        && let Err(error) = root.execute_batch("CHECKPOINT")
    {
        tracing::warn!(%error, "no checkpoint at closing");
    }
    engine.release_path();
}
