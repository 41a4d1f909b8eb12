//! Room on the disk: writes are refused before the engine runs out of it, since a write that
//! fails halfway costs more than an answer.

use crate::engine::Engine;

/// What is kept free on a large disk: enough for the commits of the time between two looks.
const RESERVE_MAX: u64 = 64 << 20;
/// The part of a small disk that is kept free.
const RESERVE_PART: u64 = 32;

/// The disk of the database file, as it is now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    free: u64,
    reserve: u64,
}

impl Room {
    /// Asks the file system. One that does not answer is taken to have room: the engine's own
    /// errors then tell.
    pub(super) fn of(engine: &Engine) -> Self {
        match rustix::fs::statvfs(&engine.path) {
            Ok(disk) => Self {
                free: disk.f_bavail.saturating_mul(disk.f_frsize),
                reserve: (disk.f_blocks.saturating_mul(disk.f_frsize) / RESERVE_PART)
                    .min(RESERVE_MAX),
            },
            Err(_) => Self {
                free: u64::MAX,
                reserve: 0,
            },
        }
    }

    /// Whether no more may be written.
    pub(super) const fn is_full(&self) -> bool {
        self.free < self.reserve
    }

    /// Whether so many bytes may be written beside what is kept free.
    pub(super) const fn fits(&self, bytes: u64) -> bool {
        self.free >= bytes
    }
}
