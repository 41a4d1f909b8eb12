//! The accept loop: every wait for a client has an end, and shutting down lets requests finish.

mod addresses;
mod bare;
mod connection;
mod guarded;
mod pulse;
mod streams;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::frame::Api;
use addresses::{Addresses, Share};
use streams::StreamExecutor;

/// How long after a failed `accept` the next is tried: descriptors may have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bounds on connections.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Connections at a time; more wait in the backlog of the socket.
    pub connections_max: usize,
    /// Connections at a time from one IPv4 address or one IPv6 network of 64 bits; more are
    /// closed at once, without a word.
    pub connections_per_address_max: usize,
    /// From the accept to the first byte.
    pub first_byte_timeout: Duration,
    /// From the first byte of a request's head to its last.
    pub header_timeout: Duration,
    /// How long a connection may stay open without a request, and how long after it was
    /// told to end.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of what is sent: of a connection on HTTP/1, of
    /// one answer on HTTP/2.
    pub write_timeout: Duration,
    /// How long what a client still sends is read and thrown away, so that it gets to read
    /// the answer before the connection is gone.
    pub linger_timeout: Duration,
    /// How long requests may take to finish when the server shuts down.
    pub drain_timeout: Duration,
    /// Bytes of a request's head, with which memory is bounded before anything looks at it.
    pub head_bytes_max: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams_max: u32,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            connections_per_address_max: 256,
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
        addresses: Addresses::new(options.connections_per_address_max),
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

/// A connection's place among all, and among those of its address.
type Place = (OwnedSemaphorePermit, Share);

struct Server {
    api: Api,
    builder: Builder<StreamExecutor>,
    places: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    options: ServeOptions,
    shutdown: CancellationToken,
    kill: CancellationToken,
}

impl Server {
    /// The next connection, once there is a place for it; none at the shutdown.
    async fn accept(&self, listener: &TcpListener) -> Option<(TcpStream, Place)> {
        let place = self
            .unless_shut_down(Arc::clone(&self.places).acquire_owned())
            .await?
            .ok()?;
        loop {
            match self.unless_shut_down(listener.accept()).await? {
                // One that holds too many already is not worth even an answer: dropping
                // the socket costs least.
                Ok((stream, peer)) => {
                    if let Some(share) = self.addresses.take(peer.ip()) {
                        return Some((stream, (place, share)));
                    }
                }
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

fn builder(options: &ServeOptions) -> Builder<StreamExecutor> {
    let mut builder = Builder::new(StreamExecutor {
        write_timeout: options.write_timeout,
    });
    builder
        .http1()
        // `Guarded` holds heads to their time, and `connection` idle clients to theirs.
        .header_read_timeout(None)
        .max_buf_size(options.head_bytes_max)
        .half_close(false);
    // The limits on streams that are reset, on frames that say nothing and on CONTINUATION
    // are left as the library has them.
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.streams_max)
        .max_header_list_size(u32::try_from(options.head_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
