//! Checkpoints: when the log is long, when nothing is written anyway, or behind a change. On a connection of their
//! own, so that the lane's inserts and deletes go on meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::room::Room;
use crate::engine::{Engine, Link};
use crate::error::Fault;

/// Bytes in the write-ahead log.
pub(crate) fn wal_bytes(engine: &Engine) -> u64 {
    let mut path = engine.path.clone().into_os_string();
    path.push(".wal");
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Wishes for a checkpoint, each of which stands until one that began after it has succeeded.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    made: AtomicU64,
    fulfilled: AtomicU64,
}

impl Wishes {
    /// Makes a wish.
    pub(crate) fn make(&self) {
        self.made.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether one stands.
    pub(crate) fn is_any(&self) -> bool {
        self.fulfilled.load(Ordering::Acquire) < self.made.load(Ordering::Acquire)
    }

    /// Makes a checkpoint, which fulfils the wishes that there are now.
    pub(crate) fn checkpoint(&self, link: &Link) -> Result<(), Fault> {
        let made = self.made.load(Ordering::Acquire);
        link.execute_batch("CHECKPOINT")?;
        self.fulfilled.fetch_max(made, Ordering::AcqRel);
        Ok(())
    }
}

/// When the next checkpoint is due.
pub(super) struct Checkpoints {
    link: Option<Link>,
    last_commit: u64,
    quiet_since: Instant,
}

impl Checkpoints {
    pub(super) fn new(engine: &Engine) -> Self {
        Self {
            link: None,
            last_commit: engine.last_commit(),
            quiet_since: Instant::now(),
        }
    }

    /// Gives the connection back.
    pub(super) fn let_go(&mut self) {
        self.link = None;
    }

    /// Makes a checkpoint where one is due. An open transaction that changes or defines holds it
    /// up, and so does a disk without room for it, which would cost the engine: the next look
    /// tries again.
    pub(super) fn look(&mut self, engine: &Engine, room: &Room) {
        let commit = engine.last_commit();
        if commit != self.last_commit {
            self.last_commit = commit;
            self.quiet_since = Instant::now();
        }
        let wal = wal_bytes(engine);
        let quiet = self.quiet_since.elapsed() >= engine.options.checkpoint_idle;
        let is_due = wal >= engine.options.checkpoint_wal_bytes
            || (quiet && wal > 0)
            || engine.wishes.is_any();
        if !is_due || !room.fits(wal.saturating_mul(2)) {
            return;
        }
        self.quiet_since = Instant::now();
        if self.link.is_none() {
            self.link = engine.connect().ok();
        }
        let Some(link) = &self.link else { return };
        let started = Instant::now();
        match engine.wishes.checkpoint(link) {
            Ok(()) => {
                let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::debug!(wal_bytes = wal, elapsed_ms, "checkpoint");
            }
            Err(fault) => engine.note(fault, "no checkpoint now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Wishes;
    use crate::engine::Link;

    #[test]
    fn a_wish_stands_until_a_checkpoint_has_succeeded() {
        let (wishes, link) = (Wishes::default(), Link::in_memory());
        assert!(!wishes.is_any());
        wishes.make();
        link.execute_batch("BEGIN; SELECT failing").unwrap_err();
        wishes.checkpoint(&link).unwrap_err();
        assert!(wishes.is_any(), "it failed");
        link.execute_batch("ROLLBACK").unwrap();
        wishes.checkpoint(&link).unwrap();
        assert!(!wishes.is_any());
        wishes.make();
        assert!(wishes.is_any());
    }
}
