//! A client of a running server, for the commands that take `--server`.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderName, Method, Request, Response, StatusCode, Uri};
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

/// What a client would like.
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");

/// One server.
#[derive(Debug)]
pub(crate) struct Client {
    base: String,
    inner: HyperClient<HttpConnector, Body>,
}

impl Client {
    /// A client of the server at `url`, such as `http://127.0.0.1:8080`.
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        let base = url.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().with_context(|| format!("{url} is no URL"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            bail!("{url} is no URL of a server; expected one such as http://127.0.0.1:8080");
        }
        let inner = HyperClient::builder(TokioExecutor::new()).build_http();
        Ok(Self { base, inner })
    }

    /// Asks for what is at a path.
    pub(crate) async fn get(&self, path: &str, accept: &str) -> anyhow::Result<Response<Incoming>> {
        self.get_with(path, &[(http::header::ACCEPT, accept)]).await
    }

    /// Asks for what is at a path, with these headers.
    pub(crate) async fn get_with(
        &self,
        path: &str,
        headers: &[(HeaderName, &str)],
    ) -> anyhow::Result<Response<Incoming>> {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        self.send(request.body(body)?).await
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

    /// Sends a body as it comes.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: ByteStream,
    ) -> anyhow::Result<Response<Incoming>> {
        let frames = body.map(|chunk| chunk.map(Frame::data));
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        self.send(request.body(BodyExt::boxed_unsync(StreamBody::new(frames)))?)
            .await
    }

    /// Sends a JSON document to a path, with these headers.
    pub(crate) async fn put(
        &self,
        path: &str,
        headers: &[(HeaderName, &str)],
        document: String,
    ) -> anyhow::Result<Response<Incoming>> {
        let body = Full::new(Bytes::from(document));
        let mut request = Request::builder()
            .method(Method::PUT)
            .uri(format!("{}{path}", self.base))
            .header(http::header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let body = body.map_err(|never| match never {}).boxed_unsync();
        self.send(request.body(body)?).await
    }

    async fn send(&self, request: Request<Body>) -> anyhow::Result<Response<Incoming>> {
        let answer = self.inner.request(request).await;
        answer.with_context(|| format!("no answer from {}", self.base))
    }
}

/// Reads an answer that is JSON.
pub(crate) async fn read_json(response: Response<Incoming>) -> anyhow::Result<(StatusCode, Json)> {
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    let bytes = body
        .collect()
        .await
        .map_err(anyhow::Error::from_boxed)?
        .to_bytes();
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
    use super::{Client, StatusCode, problem_text};

    #[test]
    fn only_urls_of_servers_are_taken() {
        assert!(Client::new("http://127.0.0.1:8080/").is_ok());
        for url in ["127.0.0.1:8080", "https://h", "http://", "not a url"] {
            assert!(Client::new(url).is_err(), "{url}");
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
