//! The API over an engine in memory, and answers as texts that can be compared.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use http::{HeaderMap, Request, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use serde_json::Value as Json;
use tower::ServiceExt;

use staffa_app::{Catalog, CommandPorts, Commands, CursorKey, Jobs, Limits, Queries};
use staffa_domain::Schema;
use staffa_domain::ports::Storage;
use staffa_http::{Api, ApiState};
use staffa_testkit::builders::CREATED;
use staffa_testkit::{FixedClock, MemoryEngine, MemorySpool, SequenceIds, schemas};

/// The id of the `n`th record that a test creates, from one.
pub(crate) fn id(n: u64) -> String {
    staffa_testkit::nth_id(n).to_string()
}

pub(crate) struct App {
    pub(crate) api: Api,
    pub(crate) storage: Storage,
}

impl App {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ApiState)) -> Self {
        Self::over(MemoryEngine::open(), change).await
    }

    /// The API over an engine of the test's own.
    pub(crate) async fn over(storage: Storage, change: impl FnOnce(&mut ApiState)) -> Self {
        let declared = [schemas::orders(), schemas::readings()].map(|s| s.schema().clone());
        let limits = Limits {
            bulk_records_max: 5,
            kept_answer_bytes_max: 64 << 10,
            ..Limits::default()
        };
        Self::of(storage, (declared.into(), limits), change).await
    }

    /// The API over schemas of the test's own, within the limits that are the default.
    pub(crate) async fn with_schemas(declared: Vec<Schema>) -> Self {
        let defaults = (declared, Limits::default());
        Self::of(MemoryEngine::open(), defaults, |_| ()).await
    }

    /// The API over orders, within limits that are the default.
    pub(crate) async fn unlimited(change: impl FnOnce(&mut ApiState)) -> Self {
        let declared = vec![schemas::orders().schema().clone()];
        let defaults = (declared, Limits::default());
        Self::of(MemoryEngine::open(), defaults, change).await
    }

    async fn of(
        storage: Storage,
        (declared, limits): (Vec<Schema>, Limits),
        change: impl FnOnce(&mut ApiState),
    ) -> Self {
        let mut state = state(&storage, declared, limits).await;
        change(&mut state);
        Self {
            api: staffa_http::router(state),
            storage,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.api.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(|whole| {
            let trailers = whole.trailers().cloned();
            (whole.to_bytes(), trailers)
        });
        let (body, trailers) = body.map_or((None, None), |(body, t)| (Some(body), t));
        Answer {
            status: head.status,
            headers: head.headers,
            body,
            trailers,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.call("POST", path, &[("content-type", "application/json")], body)
            .await
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.into()).unwrap();
        // As any client does that has the body as a whole.
        if let Some(len) = request.body().size_hint().exact() {
            let told = request.headers_mut().entry("content-length");
            told.or_insert_with(|| len.into());
        }
        self.send(request).await
    }

    /// Creates orders with the references A-1, A-2, … and their numbers as quantities.
    pub(crate) async fn with_orders(self, count: u64) -> Self {
        for n in 1..=count {
            let body = format!(r#"{{"reference":"A-{n}","quantity":{n}}}"#);
            let answer = self.post("/api/v1/records/orders", body).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        }
        self
    }

    pub(crate) async fn count(&self, schema: &str) -> u64 {
        let answer = self.get(&format!("/api/v1/records/{schema}/count")).await;
        answer.json()["count"].as_u64().unwrap()
    }
}

async fn state(storage: &Storage, declared: Vec<Schema>, limits: Limits) -> ApiState {
    let catalog = Arc::new(Catalog::open(Arc::clone(&storage.catalog)).await.unwrap());
    catalog.declare(declared).await.unwrap();
    let limits = Arc::new(limits);
    let spool = Arc::new(MemorySpool::default());
    let jobs = Jobs::new(spool, staffa_http::tell_failure, &limits);
    let ports = CommandPorts {
        writer: Arc::clone(&storage.writer),
        reader: Arc::clone(&storage.reader),
        clock: Arc::new(FixedClock::new(CREATED)),
        ids: Arc::new(SequenceIds::starting_at(1)),
        jobs: Arc::clone(&jobs),
    };
    let commands = Commands::new(Arc::clone(&catalog), ports, Arc::clone(&limits));
    let key = CursorKey::from_secret(b"test");
    let queries = Queries::new(catalog, Arc::clone(&storage.reader), key, limits).with_jobs(jobs);
    ApiState::new(commands, queries, Arc::clone(&storage.monitor))
}

pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Absent when it broke off.
    pub(crate) body: Option<Bytes>,
    pub(crate) trailers: Option<HeaderMap>,
}

/// Headers that belong to what an answer says.
const SHOWN: [&str; 8] = [
    "content-type",
    "etag",
    "location",
    "allow",
    "retry-after",
    "connection",
    "cache-control",
    "content-encoding",
];

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_ref().unwrap()).unwrap()
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(self.body.as_ref().unwrap()).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Status, headers and body, with what differs from run to run made alike.
    pub(crate) fn show(&self) -> String {
        let mut lines = vec![self.status.to_string()];
        for name in SHOWN
            .iter()
            .filter(|name| self.headers.contains_key(**name))
        {
            lines.push(format!("{name}: {}", self.header(name)));
        }
        lines.push(String::new());
        lines.push(match serde_json::from_slice(self.body.as_ref().unwrap()) {
            Ok(mut json) => {
                redact(&mut json);
                serde_json::to_string_pretty(&json).unwrap()
            }
            Err(_) => self.text().to_owned(),
        });
        lines.join("\n")
    }
}

fn redact(json: &mut Json) {
    for name in ["request_id", "execution_time_ms"] {
        if let Some(value) = json.get_mut(name) {
            *value = "[redacted]".into();
        }
    }
}
