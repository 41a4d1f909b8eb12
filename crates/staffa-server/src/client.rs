//! A client of a running server, for the commands that take `--server`. No wait for the server
//! is endless.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use http::{HeaderName, Method, Request, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value as Json;
use staffa_app::{BodyError, ByteStream};

type Body = UnsyncBoxBody<Bytes, BodyError>;

/// The most bytes of an answer that is read whole.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// For a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a client would like.
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");

/// One server.
#[derive(Debug)]
pub(crate) struct Client {
    base: String,
    /// How long the server may take nothing and say nothing.
    patience: Duration,
    inner: HyperClient<HttpConnector, Body>,
}

/// How far a body is that is being sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent(Arc<SentState>);

#[derive(Debug, Default)]
struct SentState {
    pieces: AtomicU64,
    is_awaited: AtomicBool,
    is_whole: AtomicBool,
}

impl Sent {
    /// Whether all of it was handed over. Until then the server has no whole request.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.is_whole.load(Ordering::Relaxed)
    }

    fn pieces(&self) -> u64 {
        self.0.pieces.load(Ordering::Relaxed)
    }

    /// Whether the next piece is waited for on this side.
    fn is_awaited(&self) -> bool {
        self.0.is_awaited.load(Ordering::Relaxed)
    }

    /// The body, of which this learns what the server takes.
    fn watch(&self, mut body: ByteStream) -> Body {
        let state = Arc::clone(&self.0);
        let frames = poll_fn(move |cx| {
            let polled = body.poll_next_unpin(cx);
            let is_pending = polled.is_pending();
            state.is_awaited.store(is_pending, Ordering::Relaxed);
            state
                .pieces
                .fetch_add(u64::from(!is_pending), Ordering::Relaxed);
            polled.map(|piece| {
                let is_over = piece.is_none();
                state.is_whole.fetch_or(is_over, Ordering::Relaxed);
                piece.map(|piece| piece.map(Frame::data))
            })
        });
        BodyExt::boxed_unsync(StreamBody::new(frames))
    }
}

/// An answer whose body comes piece by piece.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    body: Incoming,
    patience: Duration,
}

impl Answer {
    /// Its status.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The next piece of its body; none at the end. A body that breaks off or stops coming is
    /// an error.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            let frame = tokio::time::timeout(self.patience, self.body.frame()).await;
            let Ok(frame) = frame else {
                bail!("the server sent nothing for {}", shown(self.patience));
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.context("the server broke off")?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

impl Client {
    /// A client of the server at `url`, such as `http://127.0.0.1:8080`, which may be silent for
    /// as long as `patience`.
    pub(crate) fn new(url: &str, patience: Duration) -> anyhow::Result<Self> {
        let base = url.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().with_context(|| format!("{url} is no URL"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            bail!("{url} is no URL of a server; expected one such as http://127.0.0.1:8080");
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT.min(patience)));
        connector.set_nodelay(true);
        Ok(Self {
            base,
            patience,
            inner: HyperClient::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Asks for what is at a path.
    pub(crate) async fn get(&self, path: &str, accept: &str) -> anyhow::Result<Answer> {
        self.get_with(path, &[(http::header::ACCEPT, accept)]).await
    }

    /// Asks for what is at a path, with these headers.
    pub(crate) async fn get_with(
        &self,
        path: &str,
        headers: &[(HeaderName, &str)],
    ) -> anyhow::Result<Answer> {
        self.send((Method::GET, path), headers, nothing()).await
    }

    /// A job: as it is once it has ended, or about a second from now.
    pub(crate) async fn job(&self, place: &str) -> anyhow::Result<Json> {
        let headers = [
            (http::header::ACCEPT, "application/json"),
            (PREFER, "wait=1"),
        ];
        let answer = self.get_with(place, &headers).await?;
        let (status, job) = read_json(answer).await.context("reading the answer")?;
        anyhow::ensure!(status.is_success(), problem_text(status, &job));
        Ok(job)
    }

    /// Removes what is at a path.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.send((Method::DELETE, path), &[], nothing()).await
    }

    /// Sends a body as it comes, and tells `sent` how far that is.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(HeaderName, &str)],
        (body, sent): (ByteStream, &Sent),
    ) -> anyhow::Result<Answer> {
        let body = (sent.watch(body), sent.clone());
        self.send((Method::POST, path), headers, body).await
    }

    /// Sends a JSON document to a path, with these headers.
    pub(crate) async fn put(
        &self,
        path: &str,
        headers: &[(HeaderName, &str)],
        document: String,
    ) -> anyhow::Result<Answer> {
        let body = Full::new(Bytes::from(document)).map_err(|never| match never {});
        let mut all = vec![(http::header::CONTENT_TYPE, "application/json")];
        all.extend_from_slice(headers);
        let body = (body.boxed_unsync(), Sent::default());
        self.send((Method::PUT, path), &all, body).await
    }

    /// Sends a request and waits for the head of its answer, as long as the server does
    /// anything.
    async fn send(
        &self,
        (method, path): (Method, &str),
        headers: &[(HeaderName, &str)],
        (body, sent): (Body, Sent),
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let mut work = pin!(self.inner.request(request.body(body)?));
        let mut taken = 0;
        let answer = loop {
            if let Ok(answer) = tokio::time::timeout(self.patience, work.as_mut()).await {
                break answer.with_context(|| format!("no answer from {}", self.base))?;
            }
            let pieces = sent.pieces();
            if pieces == taken && !sent.is_awaited() {
                bail!("no answer from {} for {}", self.base, shown(self.patience));
            }
            taken = pieces;
        };
        let (head, body) = answer.into_parts();
        Ok(Answer {
            status: head.status,
            body,
            patience: self.patience,
        })
    }
}

fn nothing() -> (Body, Sent) {
    let body = Empty::new().map_err(|never| match never {});
    (body.boxed_unsync(), Sent::default())
}

fn shown(span: Duration) -> String {
    format!("{} seconds", span.as_secs_f64())
}

/// Reads an answer that is JSON.
pub(crate) async fn read_json(mut answer: Answer) -> anyhow::Result<(StatusCode, Json)> {
    let status = answer.status();
    let mut bytes = Vec::new();
    while let Some(piece) = answer.next().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > ANSWER_BYTES_MAX {
            bail!("the answer is longer than {ANSWER_BYTES_MAX} bytes");
        }
    }
    let json = serde_json::from_slice(&bytes)
        .with_context(|| format!("the server answered {status} with something else than JSON"))?;
    Ok((status, json))
}

/// What an answer that reports a problem says.
pub(crate) fn problem_text(status: StatusCode, problem: &Json) -> String {
    let part = |name: &str| problem.get(name).and_then(Json::as_str);
    let code = part("code").map_or_else(String::new, |code| format!(" ({code})"));
    let text = part("detail")
        .or_else(|| part("title"))
        .unwrap_or("no reason given");
    format!("the server answered {status}: {text}{code}")
}

#[cfg(test)]
mod tests {
    use super::{Client, Duration, StatusCode, problem_text};

    #[test]
    fn only_urls_of_servers_are_taken() {
        let client = |url: &str| Client::new(url, Duration::from_secs(1));
        assert!(client("http://127.0.0.1:8080/").is_ok());
        for url in ["127.0.0.1:8080", "https://h", "http://", "not a url"] {
            assert!(client(url).is_err(), "{url}");
        }
    }

    #[test]
    fn problems_are_told_in_a_line() {
        let problem = serde_json::json!({"title": "T", "detail": "d", "code": "c"});
        assert_eq!(
            problem_text(StatusCode::NOT_FOUND, &problem),
            "the server answered 404 Not Found: d (c)"
        );
    }
}
