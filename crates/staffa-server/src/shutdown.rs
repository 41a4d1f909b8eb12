//! The end of a server: a first signal drains it, a second one ends it at once.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use staffa_domain::StorageError;
use staffa_domain::ports::{EngineMonitor, EngineState, Gauge};

/// The signals that end a server.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from their default, which is to die.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns at the next signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Cancels `draining` at the first signal and ends the process at the second: what was
    /// acknowledged is durable, and the rest has not been.
    pub(crate) async fn drain(mut self, draining: CancellationToken) {
        self.next().await;
        tracing::info!("draining; a second signal ends the server at once");
        draining.cancel();
        self.next().await;
        tracing::warn!("ended at once by a second signal");
        std::process::exit(1);
    }
}

/// An engine's monitor that says *closed* from the moment the server drains, so that
/// readiness goes before the engine does.
#[derive(Debug)]
pub(crate) struct Draining {
    inner: Arc<dyn EngineMonitor>,
    draining: CancellationToken,
}

impl Draining {
    /// Watches over an engine's monitor.
    pub(crate) fn new(inner: Arc<dyn EngineMonitor>, draining: CancellationToken) -> Self {
        Self { inner, draining }
    }
}

#[async_trait]
impl EngineMonitor for Draining {
    fn state(&self) -> EngineState {
        if self.draining.is_cancelled() {
            EngineState::Closed
        } else {
            self.inner.state()
        }
    }

    fn gauges(&self) -> Vec<Gauge> {
        self.inner.gauges()
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.inner.probe().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
