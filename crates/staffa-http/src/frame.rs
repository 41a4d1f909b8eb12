//! What surrounds every request: its id, bounds, deadline and log line, and the headers that
//! every answer has.

mod bounds;
mod finish;
mod kept;
mod keyed;
mod tracked;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, Method, Request, StatusCode, Version, header};
use tower::{Service, ServiceExt};
use tower_http::compression::Compression;
use tower_http::compression::predicate::{Predicate, SizeAbove};

use staffa_app::{Commands, Held, Memory, panic_text};

pub(crate) use finish::{REQUEST_ID, SERVER_TIMING, put_common_headers};

use crate::exchange::Exchange;
use crate::problem::{Code, Problem};
use crate::state::{ApiState, Observer, Settings};

/// The routes with everything around them, as one service. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    router: Router,
    around: Arc<Around>,
}

struct Around {
    settings: Arc<Settings>,
    observer: Option<Observer>,
    commands: Commands,
    in_flight: Arc<AtomicUsize>,
    memory: Arc<Memory>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("settings", &self.around.settings)
            .finish_non_exhaustive()
    }
}

impl Api {
    pub(crate) fn new(router: Router, state: ApiState) -> Self {
        let around = Around {
            memory: Memory::new(state.settings.bodies_bytes_max),
            settings: Arc::new(state.settings),
            observer: state.observer,
            commands: state.commands,
            in_flight: Arc::default(),
        };
        Self {
            router,
            around: Arc::new(around),
        }
    }

    async fn answer(self, mut request: Request<Body>) -> Response {
        let around = Arc::clone(&self.around);
        let request_id = finish::request_id(request.headers());
        let settings = Arc::clone(&self.around.settings);
        let held = Held::nothing(&self.around.memory);
        let exchange = Arc::new(Exchange::new(request_id, settings, held));
        let head = finish::Head::of(&request);
        let permit = Permit::take(&self.around.in_flight);
        let response = match bounds::check(&request, &self.around.settings) {
            Err(problem) => problem.into_response(),
            Ok(()) if permit.count > self.around.settings.requests_max => {
                Problem::overloaded("the server answers as many requests as it may").into_response()
            }
            Ok(()) => {
                request.extensions_mut().insert(Arc::clone(&exchange));
                if request.method() == Method::HEAD {
                    // What answers GET answers HEAD too; the end leaves the body out.
                    *request.method_mut() = Method::GET;
                }
                self.run(request, &exchange).await
            }
        };
        finish::finish(response, head, exchange, (permit, around.observer.clone()))
    }

    /// Runs the routes: within the deadline, and with a panic turned into an answer.
    async fn run(self, request: Request<Body>, exchange: &Arc<Exchange>) -> Response {
        let path = request.uri().path();
        let is_read = match *request.method() {
            Method::GET => true,
            Method::POST => is_question(path),
            _ => false,
        };
        let late = match (is_read, is_change(path)) {
            (true, _) => late_read,
            (false, true) => late_change,
            (false, false) => late_write,
        };
        let deadline = match is_transfer(path) {
            true => self.around.settings.transfer_timeout,
            false => self.around.settings.request_timeout,
        };
        let is_keyed = keyed::is_keyed(&request);
        let work = if is_keyed {
            let (exchange, commands) = (Arc::clone(exchange), self.around.commands.clone());
            keyed::answer(self.router, request, exchange, commands).boxed()
        } else {
            route(self.router, request).boxed()
        };
        let work = AssertUnwindSafe(work).catch_unwind();
        let mut response = match tokio::time::timeout(deadline, work).await {
            Ok(Ok(response)) => response,
            Ok(Err(panic)) => {
                let fault = format!("a handler panicked: {}", panic_text(panic.as_ref()));
                Problem::internal(fault).into_response()
            }
            Err(_) if exchange.is_reading() => late_body().into_response(),
            Err(_) => late().into_response(),
        };
        if is_keyed {
            keyed::allow_again(&mut response);
        }
        response
    }
}

impl Service<Request<Body>> for Api {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let api = self.clone();
        Box::pin(async move { Ok(api.answer(request).await) })
    }
}

/// Whether a request takes as long as its data: what bounds it first is that it must keep
/// moving.
fn is_transfer(path: &str) -> bool {
    path == "/api/v1/records/bulk" || matches!(below_schema(path), Some("bulk" | "stream"))
}

/// Whether a request with a body only asks.
fn is_question(path: &str) -> bool {
    path == "/api/v1/schemas/infer" || matches!(below_schema(path), Some("query" | "aggregate"))
}

/// Whether a request that writes changes a schema.
fn is_change(path: &str) -> bool {
    path.starts_with("/api/v1/schemas/")
}

/// What of a schema's records a path names: the schema itself may be called anything.
fn below_schema(path: &str) -> Option<&str> {
    let (_, below) = path.strip_prefix("/api/v1/records/")?.split_once('/')?;
    Some(below)
}

fn late_body() -> Problem {
    let detail = "the body did not come in the time that a request may take";
    Problem::new(Code::MALFORMED_JSON, detail).close()
}

fn late_read() -> Problem {
    Problem::new(Code::QUERY_TIMEOUT, "the query took longer than it may")
}

/// The engine carries out what it was given, also when nobody waits for the answer.
fn late_write() -> Problem {
    let detail = "the write took longer than a request may: look whether it was stored";
    Problem::new(Code::COMMIT_UNKNOWN, detail).retry_after(2)
}

/// So it does with a change, whose end the schema's version tells.
fn late_change() -> Problem {
    let detail = "the change took longer than a request may, and goes on where it had begun: look \
                  at the version of the schema, or let a job do it, by Prefer: respond-async";
    Problem::new(Code::COMMIT_UNKNOWN, detail).retry_after(2)
}

async fn route(mut router: Router, request: Request<Body>) -> Response {
    if !may_compress(request.headers()) {
        let Ok(response) = router.call(request).await;
        return response;
    }
    let worthwhile = SizeAbove::new(1024).and(may_shrink);
    let Ok(response) = Compression::new(router)
        .compress_when(worthwhile)
        .oneshot(request)
        .await;
    response.map(Body::new)
}

fn may_compress(headers: &HeaderMap) -> bool {
    let named = headers
        .get(ACCEPT_ENCODING)
        .map(http::HeaderValue::as_bytes);
    named.is_some_and(|named| {
        named
            .windows(4)
            .any(|word| word.eq_ignore_ascii_case(b"gzip") || word.eq_ignore_ascii_case(b"zstd"))
    })
}

/// Whether an answer is of a kind that is not packed in itself.
fn may_shrink(_: StatusCode, _: Version, headers: &HeaderMap, _: &http::Extensions) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .map(http::HeaderValue::as_bytes);
    kind.is_some_and(|kind| {
        [
            &b"application/json"[..],
            b"application/x-ndjson",
            b"application/schema+json",
            b"application/vnd.apache.arrow.stream",
            b"text/",
        ]
        .iter()
        .any(|known| kind.starts_with(known))
    })
}

/// A place among the requests that are answered at a time, until the answer has left.
pub(crate) struct Permit {
    in_flight: Arc<AtomicUsize>,
    count: usize,
}

impl Permit {
    fn take(in_flight: &Arc<AtomicUsize>) -> Self {
        let count = in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        Self {
            in_flight: Arc::clone(in_flight),
            count,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
