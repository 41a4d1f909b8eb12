//! Requests with an `Idempotency-Key`: carried out once, answered alike.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use http::StatusCode;
use tokio::sync::oneshot;

use staffa_app::Queries;
use staffa_domain::error::Unavailable;
use staffa_domain::ports::{RecordWriter, WriteSession};
use staffa_domain::{Operation, Outcome, SchemaSnapshot, StorageError, WriteOptions};
use staffa_testkit::MemoryEngine;

use crate::app::{Answer, App, id};

const ORDERS: &str = "/api/v1/records/orders";
const JSON: (&str, &str) = ("content-type", "application/json");
const LINES: (&str, &str) = ("content-type", "application/x-ndjson");

async fn send(app: &App, key: &str, (method, path): (&str, &str), body: &str) -> Answer {
    let kind = if path.contains("/orders/bulk") {
        LINES
    } else {
        JSON
    };
    let headers = [kind, ("idempotency-key", key)];
    app.call(method, path, &headers, body.to_owned()).await
}

async fn all(app: &App) -> String {
    let answer = app.get(&format!("{ORDERS}/stream")).await;
    answer.text().to_owned()
}

#[track_caller]
fn assert_replayed(again: &Answer, first: &Answer) {
    assert_eq!(again.status, first.status, "{}", again.text());
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.header("idempotency-replayed"), "");
    for name in ["etag", "location", "content-type"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    // To the byte, the time that the first one took included.
    assert_eq!(again.body, first.body);
}

#[tokio::test]
async fn a_schema_may_be_called_like_a_question() {
    let app = App::new().await;
    for name in ["query", "aggregate"] {
        let schema = format!(
            r#"{{"name":"{name}","properties":[{{"name":"a","type":"integer","required":true}}]}}"#
        );
        let declared = app
            .call("PUT", &format!("/api/v1/schemas/{name}"), &[JSON], schema)
            .await;
        assert_eq!(declared.status, StatusCode::CREATED, "{}", declared.text());
        let path = format!("/api/v1/records/{name}");
        let first = send(&app, name, ("POST", &path), r#"{"a":1}"#).await;
        assert_eq!(first.status, StatusCode::CREATED, "{}", first.text());
        let again = send(&app, name, ("POST", &path), r#"{"a":1}"#).await;
        assert_replayed(&again, &first);
        assert_eq!(app.count(name).await, 1);
    }
}

#[tokio::test]
async fn every_write_is_carried_out_once() {
    let app = App::new().await.with_orders(4).await;
    let one = format!("{ORDERS}/{}", id(1));
    let two = format!("{ORDERS}/{}", id(2));
    let matching = format!("{ORDERS}?filter[quantity]=3");
    let bulk = |query: &str| format!("{ORDERS}/bulk?{query}");
    let (plain, ids) = (bulk("return=none"), bulk("return=ids"));
    let upsert = bulk("mode=upsert&return=ids");
    let (some, none) = (bulk("on_error=continue"), bulk("mode=ignore"));
    let many = r#"{"schema_name":"orders","data":[{"reference":"F"},{"reference":"G"}]}"#;
    let lines = "{\"reference\":\"H\"}\n{\"reference\":\"I\"}\n";
    let steps = r#"{"operations":[
        {"op":"create","schema":"orders","data":{"reference":"T"}},
        {"op":"upsert","schema":"orders","data":{"reference":"A-4","quantity":9}}]}"#;
    let bodies = [
        r#"{"schema_name":"orders","data":{"reference":"E"}}"#,
        "{\"reference\":\"K\"}\n{\"reference\":\"A-1\"}\n",
        "{\"reference\":\"L\"}\n{\"reference\":\"L\"}\n",
    ];
    // The request, its status, and whether it changes anything.
    let requests = [
        ("POST", ORDERS, r#"{"reference":"D"}"#, (201, true)),
        ("POST", "/api/v1/records", bodies[0], (201, true)),
        ("POST", "/api/v1/records/bulk", many, (201, true)),
        ("POST", &plain, lines, (201, true)),
        ("POST", &ids, "{\"reference\":\"J\"}\n", (201, true)),
        ("POST", &upsert, bodies[1], (201, true)),
        ("POST", &some, bodies[2], (207, true)),
        ("POST", &none, "{\"reference\":\"L\"}\n", (201, false)),
        ("POST", &plain, "", (201, false)),
        (
            "PUT",
            &one,
            r#"{"reference":"A-1","quantity":7}"#,
            (200, true),
        ),
        ("PATCH", &one, r#"{"quantity":8}"#, (200, true)),
        ("PATCH", &matching, r#"{"quantity":5}"#, (200, true)),
        ("DELETE", &two, "", (204, true)),
        ("DELETE", &matching, "", (200, false)),
        ("POST", "/api/v1/transactions", steps, (200, true)),
        (
            "POST",
            "/api/v1/transactions",
            r#"{"operations":[]}"#,
            (200, false),
        ),
    ];
    for (n, (method, path, body, (status, changes))) in requests.into_iter().enumerate() {
        let key = format!("key {n}");
        let before = all(&app).await;
        let first = send(&app, &key, (method, path), body).await;
        let said = first.text();
        assert_eq!(first.status.as_u16(), status, "{method} {path}: {said}");
        let after = all(&app).await;
        assert_eq!(before != after, changes, "{method} {path}");
        // In quotes it is the same key.
        let again = send(&app, &format!("\"{key}\""), (method, path), body).await;
        assert_replayed(&again, &first);
        assert_eq!(all(&app).await, after, "{method} {path}");
    }
}

#[tokio::test]
async fn another_request_may_not_have_the_key() {
    let app = App::new().await;
    let first = send(&app, "k", ("POST", ORDERS), r#"{"reference":"A"}"#).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let one = format!("{ORDERS}/{}", id(1));
    for ((method, path), body) in [
        (("POST", ORDERS), r#"{"reference":"B"}"#),
        (("POST", ORDERS), ""),
        (("POST", "/api/v1/records/orders?"), r#"{"reference":"A"}"#),
        (("PUT", &one), r#"{"reference":"A"}"#),
        (("DELETE", &one), ""),
    ] {
        let other = send(&app, "k", (method, path), body).await;
        assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(other.code(), "idempotency_mismatch", "{method} {path}");
    }
    let headers = [
        ("content-type", "application/merge-patch+json"),
        ("idempotency-key", "k"),
    ];
    let other = app
        .call("POST", ORDERS, &headers, r#"{"reference":"A"}"#)
        .await;
    assert_eq!(other.code(), "idempotency_mismatch");
    assert_eq!(app.count("orders").await, 1);
}

#[tokio::test]
async fn a_key_is_a_short_text() {
    let app = App::new().await;
    let long = "k".repeat(256);
    for key in ["", "\"\"", long.as_str(), "\u{e4}", "a\tb"] {
        let answer = send(&app, key, ("POST", ORDERS), r#"{"reference":"A"}"#).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{key:?}");
        assert_eq!(answer.json()["errors"][0]["pointer"], "/idempotency-key");
    }
    let two = [JSON, ("idempotency-key", "a"), ("idempotency-key", "b")];
    let answer = app.call("POST", ORDERS, &two, r#"{"reference":"A"}"#).await;
    assert_eq!(answer.code(), "invalid_parameter");
    assert_eq!(app.count("orders").await, 0);
    let longest = "k".repeat(255);
    let answer = send(&app, &longest, ("POST", ORDERS), r#"{"reference":"A"}"#).await;
    assert_eq!(answer.status, StatusCode::CREATED);
}

/// A body that says when it is asked for, and comes when it is let.
fn held(text: &'static str) -> (Body, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let (asked, is_asked) = oneshot::channel();
    let (let_go, is_let_go) = oneshot::channel::<()>();
    let piece = async move {
        asked.send(()).unwrap();
        is_let_go.await.unwrap();
        Ok::<_, std::io::Error>(Bytes::from_static(text.as_bytes()))
    };
    (
        Body::from_stream(stream::once(piece).boxed()),
        is_asked,
        let_go,
    )
}

#[tokio::test]
async fn a_request_under_way_is_told() {
    let app = App::new().await;
    let (body, is_asked, let_go) = held(r#"{"reference":"A"}"#);
    let headers = [
        JSON,
        ("idempotency-key", "k"),
        ("transfer-encoding", "chunked"),
    ];
    let first = app.call("POST", ORDERS, &headers, body);
    let meanwhile = async {
        is_asked.await.unwrap();
        let second = send(&app, "k", ("POST", ORDERS), r#"{"reference":"A"}"#).await;
        let other = send(&app, "l", ("POST", ORDERS), r#"{"reference":"B"}"#).await;
        let_go.send(()).unwrap();
        (second, other)
    };
    let (first, (second, other)) = tokio::join!(first, meanwhile);
    assert_eq!(second.code(), "idempotency_in_progress");
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert_eq!(second.header("retry-after"), "1");
    assert_eq!(second.json()["retryable"], true);
    assert_eq!(other.status, StatusCode::CREATED);
    assert_eq!(first.status, StatusCode::CREATED);
    let third = send(&app, "k", ("POST", ORDERS), r#"{"reference":"A"}"#).await;
    assert_replayed(&third, &first);
}

#[tokio::test]
async fn of_two_servers_one_carries_it_out() {
    let bulk = format!("{ORDERS}/bulk?mode=upsert");
    for (path, kind) in [(ORDERS, JSON), (bulk.as_str(), LINES)] {
        let storage = MemoryEngine::open();
        let one = App::over(storage.clone(), |_| ()).await;
        let other = App::over(storage, |_| ()).await;
        let text = r#"{"reference":"A"}"#;
        let (body, is_asked, let_go) = held(text);
        let headers = [
            kind,
            ("idempotency-key", "k"),
            ("transfer-encoding", "chunked"),
        ];
        let late = one.call("POST", path, &headers, body);
        let early = async {
            // The late one has looked for the key by now, and found none.
            is_asked.await.unwrap();
            let early = send(&other, "k", ("POST", path), text).await;
            let_go.send(()).unwrap();
            early
        };
        let (late, early) = tokio::join!(late, early);
        assert_eq!(early.status, StatusCode::CREATED);
        assert_replayed(&late, &early);
        assert_eq!(one.count("orders").await, 1);
    }
}

#[tokio::test]
async fn one_of_many_at_once_is_carried_out() {
    let app = App::new().await;
    let calls = (0..50).map(|_| send(&app, "k", ("POST", ORDERS), r#"{"reference":"A"}"#));
    let answers: Vec<Answer> = futures_util::future::join_all(calls).await;
    let mut carried_out = 0;
    for answer in &answers {
        match (answer.status, answer.header("idempotency-replayed")) {
            (StatusCode::CREATED, "") => carried_out += 1,
            (StatusCode::CREATED, _) => {}
            _ => assert_eq!(answer.code(), "idempotency_in_progress"),
        }
    }
    assert_eq!((carried_out, app.count("orders").await), (1, 1));
}

#[tokio::test]
async fn a_refusal_is_not_kept() {
    let app = App::new().await.with_orders(1).await;
    for _ in 0..2 {
        let answer = send(&app, "k", ("POST", ORDERS), r#"{"reference":1}"#).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.header("idempotency-replayed"), "");
    }
    let bulk = format!("{ORDERS}/bulk");
    let taken = "{\"reference\":\"A-1\"}\n{\"reference\":\"A-2\"}\n";
    let answer = send(&app, "k", ("POST", &bulk), taken).await;
    assert_eq!(answer.code(), "unique_violation");
    let answer = send(&app, "free", ("DELETE", &format!("{ORDERS}/{}", id(1))), "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    // Nothing was stored under the key, so that it may be sent again.
    let answer = send(&app, "k", ("POST", &bulk), taken).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    assert_eq!(app.count("orders").await, 2);
}

#[tokio::test]
async fn a_long_answer_is_told_again_to_the_byte() {
    let app = App::new().await;
    let note = "n".repeat(3 << 20);
    let body = format!(r#"{{"reference":"{note}"}}"#);
    let first = send(&app, "k", ("POST", ORDERS), &body).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(first.json()["data"]["reference"], note.as_str());
    let again = send(&app, "k", ("POST", ORDERS), &body).await;
    assert_replayed(&again, &first);
    let many: Vec<String> = (0..5)
        .map(|n| format!(r#"{{"reference":"{n}{note}"}}"#))
        .collect();
    let many = format!(r#"{{"schema_name":"orders","data":[{}]}}"#, many.join(","));
    let bulk = ("POST", "/api/v1/records/bulk");
    let first = send(&app, "l", bulk, &many).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert!(first.body.as_ref().unwrap().len() > 15 << 20);
    assert_replayed(&send(&app, "l", bulk, &many).await, &first);
    assert_eq!(app.count("orders").await, 6);
}

/// A text that cannot be packed to less than some half of it.
fn noise(len: usize) -> String {
    let mut state = 7_u64;
    let digits = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from_digit(u32::try_from(state >> 60).unwrap(), 16).unwrap()
    });
    digits.take(len).collect()
}

#[tokio::test]
async fn what_could_not_be_told_again_is_not_begun() {
    let app = App::new().await;
    let note = noise(300_000);
    let one = format!(r#"{{"reference":"{note}"}}"#);
    let line = format!("{one}\n");
    let many = format!(r#"{{"schema_name":"orders","data":[{one}]}}"#);
    let steps = format!(r#"{{"operations":[{{"op":"create","schema":"orders","data":{one}}}]}}"#);
    for (path, body) in [
        (ORDERS, &one),
        ("/api/v1/records/bulk", &many),
        ("/api/v1/transactions", &steps),
    ] {
        let answer = send(&app, "k", ("POST", path), body).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert_eq!(answer.code(), "payload_too_large", "{path}");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains("return=none"), "{path}: {detail}");
        assert_eq!(app.count("orders").await, 0, "{path}");
    }
    // The key is as free as it was, and what asks for less is carried out.
    let bulk = format!("{ORDERS}/bulk?return=none");
    let first = send(&app, "k", ("POST", &bulk), &line).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text());
    assert_replayed(&send(&app, "k", ("POST", &bulk), &line).await, &first);
    assert_eq!(app.count("orders").await, 1);
}

/// An engine that is lost in the middle of every commit.
#[derive(Debug)]
struct Lost(Arc<dyn RecordWriter>);

#[async_trait]
impl RecordWriter for Lost {
    async fn begin(
        &self,
        schema: &Arc<SchemaSnapshot>,
        options: WriteOptions,
    ) -> Result<Box<dyn WriteSession>, StorageError> {
        self.0.begin(schema, options).await
    }

    async fn execute(&self, _: Vec<Operation>) -> Result<Outcome, StorageError> {
        Err(StorageError::Unavailable(Unavailable::CommitUnknown))
    }
}

#[tokio::test]
async fn a_write_of_which_nothing_is_known_may_be_sent_again_with_its_key_alone() {
    let mut storage = MemoryEngine::open();
    storage.writer = Arc::new(Lost(storage.writer));
    let app = App::over(storage, |_| ()).await;
    let body = r#"{"reference":"A"}"#;
    let bare = app.post(ORDERS, body).await;
    assert_eq!(bare.code(), "commit_unknown");
    assert_eq!(bare.json()["retryable"], false);
    let keyed = send(&app, "k", ("POST", ORDERS), body).await;
    assert_eq!(keyed.code(), "commit_unknown");
    assert_eq!(keyed.json()["retryable"], true);
    // A key makes nothing else worth another try.
    let wrong = send(&app, "k", ("POST", ORDERS), "{").await;
    assert_eq!(wrong.json()["retryable"], false);
}

#[tokio::test]
async fn keys_are_in_no_listing() {
    let mut queries: Option<Queries> = None;
    let app = App::with(|state| queries = Some(state.queries.clone())).await;
    let answer = send(&app, "k", ("POST", ORDERS), r#"{"reference":"A"}"#).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let queries = queries.unwrap();
    queries.catalog().reload().await.unwrap();
    let schemas = app.get("/api/v1/schemas").await.json();
    assert_eq!(schemas.as_array().map(Vec::len), Some(2));
    let document = app.get("/openapi.json").await;
    assert!(!document.text().contains("_idempotency_keys"));
    for path in ["", "/count", "/stream"] {
        let path = format!("/api/v1/records/_idempotency_keys{path}");
        assert_eq!(app.get(&path).await.code(), "schema_not_found", "{path}");
    }
}
