//! How connections are made: address, encryption, and what every session is told first.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Connect, Manager, ManagerConfig, RecyclingMethod};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{CancelToken, Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::OpenError;
use crate::options::Options;

/// What an acknowledgement promises does not depend on how a role or a database is set up:
/// `off` becomes `on`. Anything stronger stays, and is held against later changes.
const DURABLE: &str = "SELECT set_config('synchronous_commit', \
     CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
     ELSE current_setting('synchronous_commit') END, false)";
/// What the server is told about clients that vanish: it looks for them while a statement
/// runs, and while it waits for the next one. Nothing but our own names is found by name.
const SETTINGS: &str = "-c timezone=UTC -c search_path=pg_catalog \
     -c client_connection_check_interval=2000 \
     -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3";
/// After so long a server that is silent is asked whether it lives, and after so many
/// questions without an answer its connections are given up.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long what was sent may stay unacknowledged.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// How to make connections.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    patience: Duration,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// The limits that a pool's connections are given by the server; none: no limit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// How long one statement may take.
    pub(crate) statement: Option<Duration>,
    /// How long a transaction may wait for its next statement.
    pub(crate) idle: Option<Duration>,
    /// How long a statement may wait for work of others.
    pub(crate) lock: Option<Duration>,
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
        keep_alive(&mut config);
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
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(1);
        Ok(Self {
            config,
            tls,
            patience: options.connect_timeout * (hosts + 1),
        })
    }

    /// How long a connection may take to be made and to be ready: each host has its time, and
    /// one of them may then still be silent.
    pub(crate) const fn patience(&self) -> Duration {
        self.patience
    }

    /// What a pool makes its connections with.
    pub(crate) fn manager(&self, limits: Limits) -> Manager {
        let config = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        Manager::from_connect(self.limited(limits), self.clone(), config)
    }

    /// A connection that belongs to no pool, made in the time that pools have for it.
    pub(crate) async fn connect_alone(&self) -> Result<Client, OpenError> {
        let config = self.limited(Limits::default());
        match tokio::time::timeout(self.patience, self.connect(&config)).await {
            Ok(answer) => Ok(answer.map_err(OpenError::Connect)?.0),
            Err(_) => Err(OpenError::Silent),
        }
    }

    /// A connection of its own, with the stream of what the server says unasked.
    pub(crate) async fn listen(&self) -> Result<(Client, Messages), Error> {
        self.reach(&self.limited(Limits::default())).await
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

    fn limited(&self, limits: Limits) -> Config {
        let mut config = self.config.clone();
        let millis = |time: Option<Duration>| time.map_or(0, |time| time.as_millis());
        let given = config.get_options().unwrap_or_default().to_owned();
        config.options(format!(
            "{given} {SETTINGS} -c statement_timeout={} \
             -c idle_in_transaction_session_timeout={} -c lock_timeout={}",
            millis(limits.statement),
            millis(limits.idle),
            millis(limits.lock),
        ));
        config
    }

    async fn reach(&self, config: &Config) -> Result<(Client, Messages), Error> {
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
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let config = config.clone();
        async move {
            let (client, mut messages) = self.reach(&config).await?;
            // It ends with the client, and at the first error: that would come for ever.
            let driver =
                tokio::spawn(async move { while let Some(Ok(_)) = messages.next().await {} });
            client.batch_execute(DURABLE).await?;
            Ok((client, driver))
        }
        .boxed()
    }
}

/// What the server says unasked; ends with the connection.
pub(crate) type Messages =
    futures_util::stream::BoxStream<'static, Result<tokio_postgres::AsyncMessage, Error>>;

fn messages<S, T>(mut connection: tokio_postgres::Connection<S, T>) -> Messages
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    Box::pin(futures_util::stream::poll_fn(move |context| {
        connection.poll_message(context)
    }))
}

/// A host that is gone is noticed within a minute, and among several hosts it is the one
/// that takes writes that counts, unless the address says otherwise.
fn keep_alive(config: &mut Config) {
    let untouched = Config::new();
    if config.get_keepalives_idle() == untouched.get_keepalives_idle() {
        config.keepalives_idle(KEEPALIVE_IDLE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(KEEPALIVE_INTERVAL);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(KEEPALIVE_RETRIES);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SEND_TIMEOUT);
    }
    if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any
    {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
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
