//! How much all requests hold in memory together: of their bodies, and of what is made of them.
//! Many that are each within their limit would fill it all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::body::BodyError;

/// The bytes that all requests hold.
#[derive(Debug)]
pub struct Memory {
    held: AtomicU64,
    max: u64,
}

impl Memory {
    /// So much and no more.
    pub fn new(max: u64) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicU64::new(0),
            max,
        })
    }

    /// The bytes that are held now.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

/// What one request holds, until dropped.
#[derive(Debug)]
pub struct Held {
    memory: Arc<Memory>,
    bytes: AtomicU64,
}

impl Held {
    /// A request that begins.
    pub fn nothing(memory: &Arc<Memory>) -> Self {
        Self {
            memory: Arc::clone(memory),
            bytes: AtomicU64::new(0),
        }
    }

    /// Takes so many bytes more, which count also where that is refused: as more than there
    /// is for all, or more than the others leave.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), BodyError> {
        let own = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let all = self.memory.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let max_bytes = self.memory.max;
        if own > max_bytes {
            return Err(BodyError::TooMuch { max_bytes });
        }
        if all > max_bytes {
            return Err(BodyError::NoRoom);
        }
        Ok(())
    }

    fn give(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.memory.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Default for Held {
    /// Of a request without bounds, as a process of its own makes them.
    fn default() -> Self {
        Self::nothing(&Memory::new(u64::MAX))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        self.memory.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What a part of a request's work holds, until dropped; or until the request has been answered,
/// where it is kept.
#[derive(Debug)]
pub(crate) struct Share<'h> {
    held: &'h Held,
    bytes: usize,
}

impl<'h> Share<'h> {
    pub(crate) const fn of(held: &'h Held) -> Self {
        Self { held, bytes: 0 }
    }

    /// Holds so many bytes, instead of as many as before.
    pub(crate) fn set(&mut self, bytes: usize) -> Result<(), BodyError> {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes > before {
            return self.held.take((bytes - before) as u64);
        }
        self.held.give((before - bytes) as u64);
        Ok(())
    }

    /// What it holds.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Leaves what it holds to the request.
    pub(crate) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.held.give(self.bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_is_told_from_many() {
        let memory = Memory::new(100);
        let (one, other) = (Held::nothing(&memory), Held::nothing(&memory));
        assert_eq!(one.take(60), Ok(()));
        assert_eq!(other.take(41), Err(BodyError::NoRoom));
        drop(other);
        assert_eq!(one.take(41), Err(BodyError::TooMuch { max_bytes: 100 }));
        drop(one);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn a_share_holds_what_it_was_set_to() {
        let memory = Memory::new(100);
        let held = Held::nothing(&memory);
        let mut share = Share::of(&held);
        for bytes in [70, 20, 90] {
            share.set(bytes).unwrap();
            assert_eq!(memory.held(), bytes as u64);
        }
        drop(share);
        assert_eq!(memory.held(), 0);
        let mut share = Share::of(&held);
        share.set(30).unwrap();
        share.keep();
        assert_eq!(memory.held(), 30);
        drop(held);
        assert_eq!(memory.held(), 0);
    }
}
