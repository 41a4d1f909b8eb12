//! Connections: how they are made, kept and cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, PoolError, RecyclingMethod, Timeouts};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{CancelToken, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use staffa_domain::StorageError;
use staffa_domain::error::Unavailable;

use crate::error::{self, OpenError};
use crate::monitor::Health;
use crate::options::Options;

/// How to make connections.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// The limits that a pool's connections are given by the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long one statement may take; none: no limit.
    pub(crate) statement: Option<Duration>,
    /// How long a transaction may wait for its next statement.
    pub(crate) idle: Option<Duration>,
}

impl Connector {
    pub(crate) fn new(options: &Options) -> Result<Self, OpenError> {
        // The driver does not know these words; whatever is encrypted here is verified in full.
        let url = options
            .url
            .replace("sslmode=verify-full", "sslmode=require");
        let url = url.replace("sslmode=verify-ca", "sslmode=require");
        let mut config: Config = url.parse().map_err(OpenError::Address)?;
        config
            .application_name("staffa")
            .connect_timeout(options.connect_timeout);
        let local = config.get_hosts().iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        });
        // A database elsewhere is reached in the open only by its address saying so.
        let asked = options.url.contains("sslmode");
        if !local && !asked {
            config.ssl_mode(SslMode::Require);
        }
        let encrypted = match config.get_ssl_mode() {
            SslMode::Disable => false,
            SslMode::Prefer => !local,
            _ => true,
        };
        let tls = if encrypted { Some(tls()?) } else { None };
        Ok(Self { config, tls })
    }

    fn limited(&self, limits: Limits) -> Config {
        let mut config = self.config.clone();
        let millis = |time: Option<Duration>| time.map_or(0, |time| time.as_millis());
        let given = config.get_options().unwrap_or_default().to_owned();
        config.options(format!(
            "{given} -c statement_timeout={} -c idle_in_transaction_session_timeout={} \
             -c timezone=UTC",
            millis(limits.statement),
            millis(limits.idle),
        ));
        config
    }

    /// A pool of at most `size` connections, of which none is made before it is needed.
    pub(crate) fn pool(
        &self,
        limits: Limits,
        size: usize,
    ) -> Result<deadpool_postgres::Pool, OpenError> {
        let config = self.limited(limits);
        let manager_config = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = match &self.tls {
            Some(tls) => Manager::from_config(config, tls.clone(), manager_config),
            None => Manager::from_config(config, NoTls, manager_config),
        };
        deadpool_postgres::Pool::builder(manager)
            .max_size(size.max(1))
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()
            .map_err(|error| OpenError::Setup(Box::new(error)))
    }

    /// A connection of its own, with the stream of what the server says unasked.
    pub(crate) async fn listen(
        &self,
    ) -> Result<(tokio_postgres::Client, Messages), tokio_postgres::Error> {
        let config = self.limited(Limits {
            statement: None,
            idle: None,
        });
        Ok(match &self.tls {
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                (client, messages(connection))
            }
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                (client, messages(connection))
            }
        })
    }

    /// Asks the server to stop what a connection is doing; nobody waits for it.
    pub(crate) fn cancel(&self, token: CancelToken) {
        let tls = self.tls.clone();
        tokio::spawn(async move {
            let answer = match tls {
                Some(tls) => token.cancel_query(tls).await,
                None => token.cancel_query(NoTls).await,
            };
            if let Err(error) = answer {
                tracing::debug!(error = %error, "a query could not be cancelled");
            }
        });
    }
}

/// What the server says unasked; ends with the connection.
pub(crate) type Messages = futures_util::stream::BoxStream<
    'static,
    Result<tokio_postgres::AsyncMessage, tokio_postgres::Error>,
>;

fn messages<S, T>(mut connection: tokio_postgres::Connection<S, T>) -> Messages
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    Box::pin(futures_util::stream::poll_fn(move |context| {
        connection.poll_message(context)
    }))
}

/// Certificates are checked against the system's roots, and the name against the host's.
fn tls() -> Result<MakeRustlsConnect, OpenError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(OpenError::Tls(
            "the system has no root certificates".to_owned(),
        ));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// A pool with a bounded number of those who wait for it.
#[expect(clippy::struct_field_names, reason = "it wraps the pool of the driver")]
#[derive(Debug)]
pub(crate) struct Pool {
    pool: deadpool_postgres::Pool,
    health: Arc<Health>,
    waiting: AtomicUsize,
    queue: usize,
    patience: Option<Duration>,
}

impl Pool {
    /// At most `queue` may wait for a connection, none for longer than `patience`.
    pub(crate) fn new(
        pool: deadpool_postgres::Pool,
        health: Arc<Health>,
        queue: usize,
        patience: Option<Duration>,
    ) -> Self {
        Self {
            pool,
            health,
            waiting: AtomicUsize::new(0),
            queue,
            patience,
        }
    }

    /// A connection of one's own until it is dropped.
    pub(crate) async fn get(&self) -> Result<Object, StorageError> {
        let place = Place::take(&self.waiting);
        if place.number >= self.queue.saturating_add(self.pool.status().max_size) {
            return Err(StorageError::Unavailable(Unavailable::Overloaded));
        }
        let timeouts = Timeouts {
            wait: self.patience,
            create: None,
            recycle: None,
        };
        match self.pool.timeout_get(&timeouts).await {
            Ok(client) => {
                self.health.note_answer();
                Ok(client)
            }
            Err(PoolError::Closed) => Err(StorageError::Unavailable(Unavailable::Draining)),
            Err(PoolError::Timeout(_)) => Err(StorageError::Unavailable(Unavailable::Overloaded)),
            Err(PoolError::Backend(error)) => {
                if error::is_lost(&error) {
                    self.health.note_lost();
                }
                Err(error::plain(error))
            }
            Err(other) => Err(StorageError::internal(other)),
        }
    }

    /// How many connections are at work.
    pub(crate) fn busy(&self) -> usize {
        let status = self.pool.status();
        status.size.saturating_sub(status.available)
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

/// A place among those who wait.
struct Place<'a> {
    waiting: &'a AtomicUsize,
    number: usize,
}

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Self {
        let number = waiting.fetch_add(1, Ordering::Relaxed);
        Self { waiting, number }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Closes a connection instead of giving it back: what it was doing is not known.
pub(crate) fn discard(client: Object) {
    drop(Object::take(client));
}
