//! A running server: its listeners, its use cases, and its life from start to drained end.

use std::io::{ErrorKind, IsTerminal as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use staffa_app::Commands;
use staffa_domain::Schema;
use staffa_http::{ServeOptions, admin_router, router, serve};
use staffa_telemetry::{LogFormat, LogOptions, Logs, logs};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use crate::compose::{App, compose};
use crate::config::{Config, LogConfig};
use crate::memory;
use crate::shutdown::{Draining, Signals};

/// How many connections may wait to be accepted, as far as the system allows: of a crowd that
/// comes at once, who does not fit tries again after a second.
const BACKLOG: u32 = 4096;

/// A server whose addresses are taken.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    main: TcpListener,
    admin: TcpListener,
    signals: Signals,
    logs: Logs,
}

impl Server {
    /// Takes the addresses, before anything that takes time; within a runtime.
    pub(crate) fn bind(config: &Config) -> anyhow::Result<Self> {
        config.check_served()?;
        let logs = init_logs(&config.log)?;
        let signals = Signals::listen()?;
        let main = listen(config.listen, "listen")?;
        let admin = listen(config.admin_listen, "admin-listen")?;
        Ok(Self {
            config: config.clone(),
            main,
            admin,
            signals,
            logs,
        })
    }

    /// The URL of the API, with the port that was given where any would do.
    pub(crate) fn url(&self) -> anyhow::Result<String> {
        Ok(format!("http://{}", self.main.local_addr()?))
    }

    /// Opens the engine and brings the schemas into being.
    pub(crate) async fn open(&mut self, declared: Vec<Schema>) -> anyhow::Result<App> {
        let config = self.config.clone();
        self.unless_ended(compose(&config, declared)).await
    }

    /// Does work that comes before serving: a signal ends it with an error.
    pub(crate) async fn unless_ended<T>(
        &mut self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            done = work => done,
            () = self.signals.next() => bail!("ended by a signal before it was ready"),
        }
    }

    /// Serves until a signal ends it, then lets requests under way finish and closes the
    /// engine. Calls `ready` once requests are answered.
    pub(crate) async fn run(self, app: App, ready: impl FnOnce()) -> anyhow::Result<()> {
        let (address, admin_address) = (self.main.local_addr()?, self.admin.local_addr()?);
        let options = self.options();
        let (draining, drained) = (CancellationToken::new(), CancellationToken::new());
        let mut state = app.api_state(self.config.http.requests.clone());
        state.monitor = Arc::new(Draining::new(state.monitor, draining.clone()));
        let admin = admin_router(state.clone(), app.metrics_text());
        let admin = tokio::spawn(serve(self.admin, admin, options.clone(), drained.clone()));
        let main = serve(self.main, router(state), options, draining.clone());
        let main = tokio::spawn(main);
        let catalog = Arc::clone(app.commands.catalog());
        let (sweeper, keeper) = (app.commands.clone(), app.commands.clone());
        let jobs = tokio::spawn(drain_jobs(
            app.commands.clone(),
            draining.clone(),
            self.config.drain_timeout,
        ));
        let background = [
            tokio::spawn(async move { sweeper.keep_sweeping().await }),
            tokio::spawn(async move { keeper.keep_jobs().await }),
            tokio::spawn(self.signals.drain(draining)),
            tokio::spawn(async move { catalog.follow().await }),
            tokio::spawn(memory::keep_giving_back()),
        ];
        tracing::info!(%address, admin = %admin_address, "ready");
        ready();
        let served = main.await;
        jobs.await?;
        // The admin listener still answers, so that operators see the engine close.
        app.monitor.close().await;
        drained.cancel();
        admin.await??;
        background.iter().for_each(tokio::task::JoinHandle::abort);
        tracing::info!("drained and closed");
        drop(self.logs);
        served?.map_err(Into::into)
    }

    fn options(&self) -> ServeOptions {
        ServeOptions {
            connections_max: self.config.http.connections_max,
            connections_per_address_max: self.config.http.connections_per_address_max,
            first_byte_timeout: self.config.http.header_timeout,
            header_timeout: self.config.http.header_timeout,
            idle_timeout: self.config.http.idle_timeout,
            write_timeout: self.config.http.requests.stream_stall_timeout,
            drain_timeout: self.config.drain_timeout,
            ..ServeOptions::default()
        }
    }
}

/// Jobs have as long to end as requests have; the rest is run again at the next start.
async fn drain_jobs(commands: Commands, draining: CancellationToken, patience: Duration) {
    draining.cancelled().await;
    commands.drain_jobs(patience).await;
}

fn init_logs(config: &LogConfig) -> anyhow::Result<Logs> {
    let terminal = std::io::stderr().is_terminal();
    let format = match config.format.as_str() {
        "human" => LogFormat::Human,
        "json" => LogFormat::Json,
        _ if terminal => LogFormat::Human,
        _ => LogFormat::Json,
    };
    Ok(logs::init(&LogOptions {
        format,
        filter: config.level.clone(),
        color: terminal,
    })?)
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // The address of a server that has just ended is free.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn listen(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    match bind(address) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("the address {address} is in use by another process; choose one with --{flag}")
        }
        Err(error) => Err(error).with_context(|| format!("can't listen on {address}")),
    }
}
