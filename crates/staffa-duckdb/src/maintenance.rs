//! Checkpoints, made by us at a moment of our choosing: when the log is long, or when
//! nothing is written anyway. Inside the lane, since a checkpoint stops writes whoever
//! makes it.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use parking_lot::Mutex;

use crate::engine::Engine;
use crate::lane::Lane;

/// How often the log is looked at.
const PERIOD: Duration = Duration::from_millis(500);

/// The thread that asks for checkpoints.
#[derive(Debug)]
pub(crate) struct Maintenance {
    stop: Mutex<Option<Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Maintenance {
    /// Starts the thread. Without it, the engine's own far larger limit still holds.
    pub(crate) fn start(engine: Arc<Engine>, lane: &Arc<Lane>) -> Self {
        let (stop, stopped) = crossbeam_channel::bounded(1);
        let lane = Arc::downgrade(lane);
        let thread = std::thread::Builder::new()
            .name("staffa-maintenance".to_owned())
            .spawn(move || run(&engine, &lane, &stopped));
        if let Err(error) = &thread {
            tracing::warn!(%error, "no maintenance thread");
        }
        Self {
            stop: Mutex::new(Some(stop)),
            thread: Mutex::new(thread.ok()),
        }
    }

    /// Ends the thread, and gives it out to wait for.
    pub(crate) fn close(&self) -> Option<JoinHandle<()>> {
        self.stop.lock().take();
        self.thread.lock().take()
    }
}

/// Bytes in the write-ahead log.
pub(crate) fn wal_bytes(engine: &Engine) -> u64 {
    let mut path = engine.path.clone().into_os_string();
    path.push(".wal");
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn run(engine: &Arc<Engine>, lane: &Weak<Lane>, stopped: &Receiver<()>) {
    let mut last_commit = engine.last_commit();
    let mut quiet_since = Instant::now();
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(PERIOD) {
        let commit = engine.last_commit();
        if commit != last_commit {
            last_commit = commit;
            quiet_since = Instant::now();
        }
        let wal = wal_bytes(engine);
        let quiet = quiet_since.elapsed() >= engine.options.checkpoint_idle;
        if wal < engine.options.checkpoint_wal_bytes && !(quiet && wal > 0) {
            continue;
        }
        let Some(lane) = lane.upgrade() else { return };
        lane.post(|link| {
            // An open transaction holds it up; the next turn tries again.
            if let Err(error) = link.execute_batch("CHECKPOINT") {
                tracing::debug!(%error, "no checkpoint now");
            }
        });
        quiet_since = Instant::now();
    }
}
