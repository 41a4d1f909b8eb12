//! Time and identity that a test can foresee.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use staffa_domain::ports::{Clock, IdSource};
use staffa_domain::{RecordId, Timestamp};

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that shows `at`.
    pub const fn new(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.as_micros()))
    }

    /// Moves it on, or back.
    pub fn advance_micros(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Ids that count up, with the form of a UUID of version 7.
#[derive(Debug)]
pub struct SequenceIds(AtomicU64);

impl SequenceIds {
    /// The first id it makes is `nth_id(first)`.
    pub const fn starting_at(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }
}

impl IdSource for SequenceIds {
    fn next_ids(&self, count: usize) -> Vec<RecordId> {
        let first = self.0.fetch_add(count as u64, Ordering::SeqCst);
        (first..first + count as u64).map(nth_id).collect()
    }
}

/// The `n`th foreseeable id; they rise with `n`.
pub const fn nth_id(n: u64) -> RecordId {
    // 48 bits of time, the version, 12 bits, the variant, 62 bits: the number goes last.
    let head = 0x0197_0000_0000_7000_u64.to_be_bytes();
    let tail = ((n & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000).to_be_bytes();
    let mut bytes = [0; 16];
    let mut at = 0;
    while at < 8 {
        bytes[at] = head[at];
        bytes[8 + at] = tail[at];
        at += 1;
    }
    RecordId::from_bytes(bytes)
}
