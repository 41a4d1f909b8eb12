//! How much of bodies all requests hold in memory together: many that are each within their
//! limit would fill it all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes that all requests hold.
#[derive(Debug)]
pub(crate) struct Bodies {
    held: AtomicU64,
    max: u64,
}

impl Bodies {
    pub(crate) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicU64::new(0),
            max,
        })
    }
}

/// What one request holds of them, until dropped.
#[derive(Debug)]
pub(crate) struct Held {
    bodies: Arc<Bodies>,
    bytes: AtomicU64,
}

impl Held {
    pub(crate) fn nothing(bodies: &Arc<Bodies>) -> Self {
        Self {
            bodies: Arc::clone(bodies),
            bytes: AtomicU64::new(0),
        }
    }

    /// Takes so many bytes more; false where that is more than all together may hold.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let before = self.bodies.held.fetch_add(bytes, Ordering::Relaxed);
        before.saturating_add(bytes) <= self.bodies.max
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        self.bodies.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}
