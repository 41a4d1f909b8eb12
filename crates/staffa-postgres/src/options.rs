//! What can be set.

use std::fmt;
use std::time::Duration;

/// How records are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Distribution {
    /// One server holds all.
    #[default]
    None,
    /// Citus spreads each schema by its `distributed_by`, or by the id.
    Citus,
}

/// How to reach the database and how much to ask of it.
#[derive(Clone)]
pub struct Options {
    /// The address, `postgres://user@host/database`, or keys and values as libpq has them.
    pub url: String,
    /// Connections for short reads.
    pub pool_size: usize,
    /// Connections for streams, one a stream.
    pub stream_pool_size: usize,
    /// How many bulk writes may be open at once; more wait for their turn.
    pub bulk_sessions_max: usize,
    /// Connections that carry out short writes, each many requests at a time.
    pub write_lanes: usize,
    /// How many short writes may wait; more are refused.
    pub write_queue: usize,
    /// How many short reads may wait; more are refused.
    pub read_queue: usize,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a read or a short write may take.
    pub query_timeout: Duration,
    /// How long a stream may take; none: as long as it needs.
    pub stream_timeout: Option<Duration>,
    /// How long a change of the catalog waits for work under way on the schema.
    pub lock_timeout: Duration,
    /// How records are spread.
    pub distribution: Distribution,
}

impl Options {
    /// The defaults for an address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            pool_size: 8,
            stream_pool_size: 8,
            bulk_sessions_max: 4,
            write_lanes: 4,
            write_queue: 4_096,
            read_queue: 4_096,
            connect_timeout: Duration::from_secs(5),
            query_timeout: Duration::from_secs(30),
            stream_timeout: None,
            lock_timeout: Duration::from_secs(5),
            distribution: Distribution::None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        f.debug_struct("Options")
            .field("pool_size", &self.pool_size)
            .field("stream_pool_size", &self.stream_pool_size)
            .field("bulk_sessions_max", &self.bulk_sessions_max)
            .field("write_lanes", &self.write_lanes)
            .field("distribution", &self.distribution)
            .finish_non_exhaustive()
    }
}
