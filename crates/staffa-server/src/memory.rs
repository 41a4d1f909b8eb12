//! The allocator of the whole program, the storage engine included, whose allocations are most
//! of it.

use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A little more often than unused memory falls due, which is after a second.
const PERIOD: Duration = Duration::from_secs(2);
/// Enough to be taken from the pool that all threads share.
const TOUCH_BYTES: usize = 1 << 20;

/// Has unused memory given back to the system, until dropped. The allocator looks for memory that
/// is due only when some is asked for, so a server that becomes idle would keep all that its
/// last requests took.
pub(crate) async fn keep_giving_back() {
    loop {
        tokio::time::sleep(PERIOD).await;
        drop(black_box(Vec::<u8>::with_capacity(TOUCH_BYTES)));
    }
}
