//! The monitor, passed through; only its probe does work worth measuring.

use std::sync::Arc;

use async_trait::async_trait;

use staffa_domain::StorageError;
use staffa_domain::ports::{EngineMonitor, EngineState, Gauge};

use crate::metrics::Registry;

use super::operation::Operation;

#[derive(Debug)]
pub(super) struct MeteredMonitor {
    inner: Arc<dyn EngineMonitor>,
    probe: Arc<Operation>,
}

impl MeteredMonitor {
    pub(super) fn new(inner: Arc<dyn EngineMonitor>, registry: &Registry) -> Self {
        let probe = Operation::new(registry, "monitor", "probe");
        Self { inner, probe }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EngineMonitor for MeteredMonitor {
    fn state(&self) -> EngineState {
        self.inner.state()
    }

    fn gauges(&self) -> Vec<Gauge> {
        self.inner.gauges()
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.probe.time(self.inner.probe()).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
