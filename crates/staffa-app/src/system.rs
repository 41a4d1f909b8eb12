//! The real clock and the real source of ids.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{ContextV7, Timestamp as UuidTimestamp, Uuid};

use staffa_domain::ports::{Clock, IdSource};
use staffa_domain::{RecordId, Timestamp};

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock everything else is given"
    )]
    fn now(&self) -> Timestamp {
        // A clock before 1970 is a broken machine; the epoch is then as good as any answer.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// UUIDs of version 7 (RFC 9562, method 1: a counter within the millisecond), each larger
/// than all before, also when the clock steps back.
#[derive(Debug)]
pub struct UuidV7Source {
    context: std::sync::Mutex<ContextV7>,
}

impl Default for UuidV7Source {
    fn default() -> Self {
        Self {
            context: std::sync::Mutex::new(ContextV7::new()),
        }
    }
}

impl IdSource for UuidV7Source {
    fn next_ids(&self, count: usize) -> Vec<RecordId> {
        // A poisoned lock holds a counter that is still good.
        let context = self
            .context
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // One look at the clock: the counter keeps the order of what belongs to one moment.
        let micros = u64::try_from(SystemClock.now().as_micros()).unwrap_or(0);
        let (seconds, nanos) = (micros / 1_000_000, micros % 1_000_000 * 1_000);
        let nanos = u32::try_from(nanos).unwrap_or(0);
        (0..count)
            .map(|_| Uuid::new_v7(UuidTimestamp::from_unix(&*context, seconds, nanos)).into())
            .collect()
    }
}
