//! What the routes are given: the use cases, the engine's state, and settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;

use staffa_app::{Commands, Queries};
use staffa_domain::ports::EngineMonitor;

use crate::openapi::OpenApi;

/// Told about each request once its answer has left, or was given up.
pub type Observer = Arc<dyn Fn(&RequestSummary<'_>) + Send + Sync>;

/// Gives the text of `/metrics`.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What one request did, for metrics.
#[derive(Debug, Clone, Copy)]
pub struct RequestSummary<'a> {
    /// Its id.
    pub request_id: &'a str,
    /// The method.
    pub method: &'a str,
    /// The route's template, such as `/api/v1/records/{schema}`; empty where none matched.
    pub route: &'a str,
    /// The answer's status.
    pub status: u16,
    /// The schema that it named, known or not.
    pub schema: Option<&'a str>,
    /// Records read or written.
    pub records: u64,
    /// Bytes of its body that were read.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Time from bytes to arrays.
    pub decode: Duration,
    /// Time in the rules of the schema.
    pub validate: Duration,
    /// Time waiting for the engine.
    pub engine: Duration,
    /// Time from arrays to bytes.
    pub encode: Duration,
    /// Time from its head to the end of the answer.
    pub total: Duration,
    /// Whether the whole answer was taken.
    pub complete: bool,
}

/// Bounds on requests, from configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Requests answered at a time; more are refused at once.
    pub requests_max: usize,
    /// From the head of a request to its answer, where the body is no stream; and the longest
    /// that a bulk write waits for its turn.
    pub request_timeout: Duration,
    /// From the head of a bulk write to its answer, and from the first record of a stream to
    /// its last: while they last, others may have to wait.
    pub transfer_timeout: Duration,
    /// Between two pieces of a body.
    pub body_idle_timeout: Duration,
    /// How long a client may take nothing of a stream.
    pub stream_stall_timeout: Duration,
    /// Bytes of one JSON body that is held whole: one record, or one question.
    pub json_body_bytes_max: u64,
    /// Bytes of such bodies and of what is made of them, over all requests at a time; a request
    /// that would hold more is refused.
    pub bodies_bytes_max: u64,
    /// Bytes of one streamed body, as sent and unpacked; any when absent.
    pub bulk_body_bytes_max: Option<u64>,
    /// Bytes of the path and query.
    pub uri_bytes_max: usize,
    /// Bytes of all headers.
    pub header_bytes_max: usize,
    /// The number of headers.
    pub headers_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            requests_max: 8_192,
            request_timeout: Duration::from_secs(30),
            transfer_timeout: Duration::from_secs(3_600),
            body_idle_timeout: Duration::from_secs(30),
            stream_stall_timeout: Duration::from_secs(30),
            json_body_bytes_max: 16 << 20,
            bodies_bytes_max: 1 << 30,
            bulk_body_bytes_max: None,
            uri_bytes_max: 8 << 10,
            header_bytes_max: 32 << 10,
            headers_max: 100,
        }
    }
}

/// Everything that the routes need.
#[derive(Clone)]
pub struct ApiState {
    /// The write side.
    pub commands: Commands,
    /// The read side.
    pub queries: Queries,
    /// How the engine fares.
    pub monitor: Arc<dyn EngineMonitor>,
    /// Bounds on requests.
    pub settings: Settings,
    /// Told about each request.
    pub observer: Option<Observer>,
}

impl ApiState {
    /// Default settings and nobody who watches.
    pub fn new(commands: Commands, queries: Queries, monitor: Arc<dyn EngineMonitor>) -> Self {
        Self {
            commands,
            queries,
            monitor,
            settings: Settings::default(),
            observer: None,
        }
    }
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The state as the routes hold it: one pointer, of which each handler takes its part. One
/// that reads takes [`Queries`] and so cannot write.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Parts>);

struct Parts {
    api: ApiState,
    openapi: Arc<OpenApi>,
}

impl Shared {
    pub(crate) fn new(api: ApiState) -> Self {
        Self(Arc::new(Parts {
            api,
            openapi: Arc::default(),
        }))
    }
}

impl FromRef<Shared> for Commands {
    fn from_ref(shared: &Shared) -> Self {
        shared.0.api.commands.clone()
    }
}

impl FromRef<Shared> for Queries {
    fn from_ref(shared: &Shared) -> Self {
        shared.0.api.queries.clone()
    }
}

impl FromRef<Shared> for Arc<dyn EngineMonitor> {
    fn from_ref(shared: &Shared) -> Self {
        Self::clone(&shared.0.api.monitor)
    }
}

impl FromRef<Shared> for Arc<OpenApi> {
    fn from_ref(shared: &Shared) -> Self {
        Self::clone(&shared.0.openapi)
    }
}
