//! The thread that looks after the engine: checkpoints at a moment of our choosing, room on the
//! disk, and opening the engine again after a fault.

mod checkpoint;
mod reopen;
mod room;

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use parking_lot::Mutex;

use crate::engine::{Engine, LOOK_PERIOD};
use checkpoint::Checkpoints;

pub(crate) use checkpoint::{Wishes, wal_bytes};

/// The thread's other end.
#[derive(Debug)]
pub(crate) struct Upkeep {
    stop: Mutex<Option<Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Upkeep {
    /// Starts the thread.
    pub(crate) fn start(engine: Arc<Engine>) -> Self {
        let (stop, stopped) = crossbeam_channel::bounded(1);
        let thread = std::thread::Builder::new()
            .name("staffa-upkeep".to_owned())
            .spawn(move || run(&engine, &stopped));
        if let Err(error) = &thread {
            tracing::error!(%error, "nobody looks after the engine");
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

fn run(engine: &Engine, stopped: &Receiver<()>) {
    let mut checkpoints = Checkpoints::new(engine);
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK_PERIOD) {
        if engine.is_lost() {
            checkpoints.let_go();
            reopen::reopen(engine, stopped);
            continue;
        }
        let room = room::Room::of(engine);
        engine.set_full(room.is_full());
        checkpoints.look(engine, &room);
    }
}

#[cfg(test)]
mod tests;
