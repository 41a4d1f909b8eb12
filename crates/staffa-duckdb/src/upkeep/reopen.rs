//! Opening the engine again after a fault. An instance that failed answers nothing but errors,
//! and it closes only with its last connection.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::catalog;
use crate::engine::Engine;
use crate::open::open_instance;

/// How often it is looked whether all connections are given back.
const LOOK_PERIOD: Duration = Duration::from_millis(5);
/// After how long it is said that they are not.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries, growing; a fault that ended is to be over soon after.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Closes the lost instance and opens the file again, as often as it takes; gives up only when
/// stopped.
pub(super) fn reopen(engine: &Engine, stopped: &Receiver<()>) {
    let started = Instant::now();
    tracing::error!("the engine failed and is opened again");
    if !wait_until_unused(engine, stopped) {
        return;
    }
    drop(engine.take_root());
    let mut pause = PAUSE_MIN;
    loop {
        match open_instance(&engine.options, &engine.path) {
            Ok(connection) => match catalog::check_remembered(engine, &connection) {
                Ok(()) => {
                    engine.restart(connection);
                    let elapsed_ms =
                        u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                    tracing::warn!(elapsed_ms, "the engine is open again");
                    return;
                }
                Err(fault) => tracing::error!(error = %fault, "the file is not as it was"),
            },
            Err(error) => tracing::error!(%error, "the engine can't be opened again yet"),
        }
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Waits for the threads to notice; answers whether all gave their connections back.
fn wait_until_unused(engine: &Engine, stopped: &Receiver<()>) -> bool {
    let mut since = Instant::now();
    while engine.is_in_use() {
        if since.elapsed() >= PATIENCE {
            since = Instant::now();
            tracing::error!("connections to the failed engine are still held");
        }
        if stopped.recv_timeout(LOOK_PERIOD) != Err(RecvTimeoutError::Timeout) {
            return false;
        }
    }
    true
}
