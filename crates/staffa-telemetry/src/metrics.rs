//! The figures of the process in the Prometheus text format: what was counted and timed
//! since the start, and what the process and the engine look like now.

mod engine;
mod exposition;
mod process;
mod registry;
mod requests;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use staffa_domain::ports::EngineMonitor;

pub use requests::RequestFigures;

use exposition::{Family, Kind};
pub(crate) use registry::{PORT_RECORDS, PORT_SECONDS, Registry};
use requests::Requests;

/// How often timings are folded into their buckets. Until then each takes eight bytes, so
/// that without this a process nobody scrapes would grow.
const UPKEEP: Duration = Duration::from_secs(5);

/// Where the figures of a process are gathered. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    registry: Registry,
    requests: Requests,
    engine: RwLock<Option<Arc<dyn EngineMonitor>>>,
}

impl Metrics {
    /// The figures of this process: made by the first call, the same ones at every later one.
    pub fn install() -> Self {
        static INSTALLED: OnceLock<Metrics> = OnceLock::new();
        INSTALLED
            .get_or_init(|| {
                let metrics = Self::detached();
                metrics.shared.registry.make_global();
                metrics.keep_up();
                metrics
            })
            .clone()
    }

    /// Figures that nothing else in the process adds to.
    pub(crate) fn detached() -> Self {
        let registry = Registry::new();
        let requests = Requests::new(registry.clone());
        Self {
            shared: Arc::new(Shared {
                registry,
                requests,
                engine: RwLock::new(None),
            }),
        }
    }

    /// Shows this engine's state and gauges from now on, in place of any earlier one's.
    pub fn watch(&self, engine: Arc<dyn EngineMonitor>) {
        let slot = self.shared.engine.write();
        *slot.unwrap_or_else(PoisonError::into_inner) = Some(engine);
    }

    /// Counts one answered request. Cheap; allocates only for a route, method, status or
    /// schema that was not seen before.
    pub fn record_request(&self, figures: &RequestFigures<'_>) {
        self.shared.requests.record(figures);
    }

    /// All figures in the Prometheus text format. Reads the process's own figures from the
    /// kernel and asks the watched engine for its gauges.
    pub fn render(&self) -> String {
        let mut text = self.shared.registry.render();
        process::write(&mut text);
        let engine = self.shared.engine.read();
        let engine = engine.unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(engine) = engine {
            engine::write(&mut text, engine.as_ref());
        }
        text
    }

    /// A gauge in the same format that somebody else keeps: its name, what it means, and its
    /// value for each of a label's.
    pub fn gauge(name: &str, help: &str, label: &str, samples: &[(&str, usize)]) -> String {
        let mut text = String::new();
        let kind = Kind::Gauge;
        Family { name, kind, help }.write_by(&mut text, label, samples);
        text
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    fn keep_up(&self) {
        let registry = self.shared.registry.clone();
        let spawned = thread::Builder::new()
            .name("staffa-metrics".to_owned())
            .spawn(move || {
                loop {
                    thread::sleep(UPKEEP);
                    registry.run_upkeep();
                }
            });
        if let Err(error) = spawned {
            tracing::warn!(%error, "metrics are folded only when they are scraped");
        }
    }
}

#[cfg(test)]
mod tests;
