//! Where the parts are put together: the only place that chooses an engine.

use std::sync::Arc;

use anyhow::Context as _;
use staffa_app::{Catalog, CommandPorts, Commands, CursorKey, Queries, SystemClock, UuidV7Source};
use staffa_domain::Schema;
use staffa_domain::ports::{EngineMonitor, Storage};
use staffa_http::{ApiState, MetricsText, Observer, RequestSummary, Settings};
use staffa_telemetry::{Metrics, RequestFigures};

use crate::config::{Config, StorageConfig};
use crate::cursor_secret;
use crate::spool;

/// The use cases over an open engine.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// The write side.
    pub(crate) commands: Commands,
    /// The read side.
    pub(crate) queries: Queries,
    /// How the engine fares, and its end.
    pub(crate) monitor: Arc<dyn EngineMonitor>,
    /// What was measured.
    pub(crate) metrics: Metrics,
}

/// Opens the engine and brings the declared schemas into being.
pub(crate) async fn compose(config: &Config, declared: Vec<Schema>) -> anyhow::Result<App> {
    let metrics = Metrics::install();
    let (storage, cursor_key) = open(config).await.context("the storage can't be opened")?;
    let storage = staffa_telemetry::metered(storage);
    let storage = staffa_app::reuse_answers(storage, &config.limits);
    metrics.watch(Arc::clone(&storage.monitor));
    let monitor = Arc::clone(&storage.monitor);
    let assembled = assemble(config, (storage, cursor_key), metrics, declared).await;
    if assembled.is_err() {
        monitor.close().await;
    }
    assembled
}

/// Opens the engine, and comes to the key that all servers of its records have.
async fn open(config: &Config) -> anyhow::Result<(Storage, CursorKey)> {
    Ok(match &config.storage {
        StorageConfig::Duckdb(options) => {
            let storage = staffa_duckdb::open(options.clone()).await?;
            (storage, cursor_secret::key(config, None)?)
        }
        StorageConfig::Postgres(options) => {
            let opened = staffa_postgres::open(options.clone()).await?;
            let key = cursor_secret::key(config, Some(opened.secret.as_bytes()))?;
            (opened.storage, key)
        }
    })
}

async fn assemble(
    config: &Config,
    (storage, cursor_key): (Storage, CursorKey),
    metrics: Metrics,
    declared: Vec<Schema>,
) -> anyhow::Result<App> {
    let limits = Arc::new(config.limits.clone());
    let catalog = Arc::new(Catalog::open(storage.catalog).await?);
    catalog.declare(declared).await?;
    let ports = CommandPorts {
        writer: storage.writer,
        reader: Arc::clone(&storage.reader),
        clock: Arc::new(SystemClock),
        ids: Arc::new(UuidV7Source::default()),
        jobs: spool::jobs(config),
    };
    let commands = Commands::new(Arc::clone(&catalog), ports, Arc::clone(&limits));
    let queries =
        Queries::new(catalog, storage.reader, cursor_key, limits).with_jobs(commands.jobs());
    Ok(App {
        commands,
        queries,
        monitor: storage.monitor,
        metrics,
    })
}

impl App {
    /// What the routes are given.
    pub(crate) fn api_state(&self, settings: Settings) -> ApiState {
        let monitor = Arc::clone(&self.monitor);
        let mut state = ApiState::new(self.commands.clone(), self.queries.clone(), monitor);
        state.settings = settings;
        state.observer = Some(self.observer());
        state
    }

    /// What `/metrics` shows.
    pub(crate) fn metrics_text(&self) -> MetricsText {
        let (metrics, jobs) = (self.metrics.clone(), self.commands.jobs());
        Arc::new(move || metrics.render() + &spool::figures(&jobs))
    }

    fn observer(&self) -> Observer {
        let (metrics, queries) = (self.metrics.clone(), self.queries.clone());
        Arc::new(move |request: &RequestSummary<'_>| {
            let asks = ["/query", "/aggregate"].map(|end| request.route.ends_with(end));
            let reads = request.method == "GET" || asks.contains(&true);
            metrics.record_request(&RequestFigures {
                method: request.method,
                route: request.route,
                status: request.status,
                seconds: request.total.as_secs_f64(),
                bytes_in: request.bytes_in,
                bytes_out: request.bytes_out,
                schema: request.schema.filter(|name| queries.schema(name).is_ok()),
                records_read: if reads { request.records } else { 0 },
                records_written: if reads { 0 } else { request.records },
            });
        })
    }
}
