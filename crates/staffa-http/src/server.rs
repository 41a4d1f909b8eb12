//! The accept loop: every wait for a client has an end, and shutting down lets requests finish.

mod connection;
mod guarded;
mod pulse;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::frame::Api;

/// How long after a failed `accept` the next is tried: descriptors may have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bounds on connections.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Connections at a time; more wait in the backlog of the socket.
    pub connections_max: usize,
    /// From the accept to the first byte.
    pub first_byte_timeout: Duration,
    /// From the first byte of a request's head to its last.
    pub header_timeout: Duration,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of what is sent.
    pub write_timeout: Duration,
    /// How long what a client still sends is read and thrown away, so that it gets to read
    /// the answer before the connection is gone.
    pub linger_timeout: Duration,
    /// How long requests may take to finish when the server shuts down.
    pub drain_timeout: Duration,
    /// Bytes of a request's head.
    pub head_bytes_max: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams_max: u32,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            first_byte_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            linger_timeout: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(30),
            head_bytes_max: 64 << 10,
            streams_max: 128,
        }
    }
}

/// Serves until `shutdown`; then takes no more connections, lets the requests under way
/// finish for as long as `drain_timeout`, and returns.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    options: ServeOptions,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let server = Arc::new(Server {
        api,
        builder: builder(&options),
        places: Arc::new(Semaphore::new(options.connections_max)),
        options,
        shutdown,
        kill: CancellationToken::new(),
    });
    let connections = TaskTracker::new();
    while let Some((stream, place)) = server.accept(&listener).await {
        let server = Arc::clone(&server);
        connections.spawn(async move {
            connection::run(&server, stream).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    let drained = tokio::time::timeout(server.options.drain_timeout, connections.wait()).await;
    if drained.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "requests were cut off by the shutdown"
        );
        server.kill.cancel();
        connections.wait().await;
    }
    Ok(())
}

struct Server {
    api: Api,
    builder: Builder<TokioExecutor>,
    places: Arc<Semaphore>,
    options: ServeOptions,
    shutdown: CancellationToken,
    kill: CancellationToken,
}

impl Server {
    /// The next connection, once there is a place for it; none at the shutdown.
    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let place = self
            .unless_shut_down(Arc::clone(&self.places).acquire_owned())
            .await?
            .ok()?;
        loop {
            match self.unless_shut_down(listener.accept()).await? {
                Ok((stream, _)) => return Some((stream, place)),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    self.unless_shut_down(tokio::time::sleep(ACCEPT_PAUSE))
                        .await?;
                }
            }
        }
    }

    async fn unless_shut_down<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.shutdown.run_until_cancelled(work).await
    }
}

fn builder(options: &ServeOptions) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // It runs while a connection is idle too; `Guarded` holds heads to their own time.
        .header_read_timeout(options.idle_timeout)
        .max_buf_size(options.head_bytes_max)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.streams_max)
        .max_header_list_size(32 << 10)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
