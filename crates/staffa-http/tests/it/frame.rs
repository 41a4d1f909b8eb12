//! What surrounds every request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use http::StatusCode;

use crate::app::App;

const ORDERS: &str = "/api/v1/records/orders";

#[tokio::test]
async fn every_answer_has_an_id_timings_and_safe_headers() {
    let app = App::new().await;
    for path in ["/api/v1/schemas", "/nothing", "/docs"] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("x-request-id").len(), 36, "{path}");
        assert!(
            answer.header("server-timing").contains("total;dur="),
            "{path}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(
            answer
                .header("content-security-policy")
                .starts_with("default-src 'none'")
        );
        assert!(answer.header("vary").contains("Accept-Encoding"));
    }
    assert_eq!(
        app.get("/api/v1/schemas").await.header("cache-control"),
        "no-store"
    );
}

#[tokio::test]
async fn an_id_that_can_stand_in_a_log_is_kept() {
    let app = App::new().await;
    let sent = async |id: &str| {
        let answer = app
            .call("GET", "/nothing", &[("x-request-id", id)], "")
            .await;
        assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
        answer.header("x-request-id") == id
    };
    assert!(sent("abc-123").await);
    assert!(!sent("").await);
    assert!(!sent("a b").await);
    assert!(!sent(&"a".repeat(129)).await);
}

#[tokio::test]
async fn large_answers_are_packed_on_demand() {
    let app = App::new().await.with_orders(20).await;
    let ask = async |path: &str, encoding: &str| {
        app.call("GET", path, &[("accept-encoding", encoding)], Body::empty())
            .await
    };
    let page = format!("{ORDERS}?size=20");
    assert_eq!(ask(&page, "gzip").await.header("content-encoding"), "gzip");
    assert_eq!(ask(&page, "zstd").await.header("content-encoding"), "zstd");
    assert_eq!(ask(&page, "br").await.header("content-encoding"), "");
    assert_eq!(
        ask("/health/live", "gzip").await.header("content-encoding"),
        ""
    );
    assert_eq!(
        ask(&format!("{ORDERS}/stream"), "gzip")
            .await
            .header("content-encoding"),
        "gzip"
    );
    let refused = ask(&format!("{ORDERS}?nope=1"), "gzip").await;
    assert_eq!(refused.code(), "invalid_parameter");
}

#[tokio::test]
async fn the_observer_is_told_when_the_answer_has_left() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let app = App::with(|state| {
        state.observer = Some(Arc::new(move |summary| {
            let line = format!(
                "{} {} {} {} {:?} {} {}",
                summary.method,
                summary.route,
                summary.status,
                summary.bytes_in,
                summary.schema,
                summary.records,
                summary.complete,
            );
            told.lock().unwrap().push(line);
        }));
    })
    .await;
    app.post(ORDERS, r#"{"reference":"a"}"#).await;
    app.get(&format!("{ORDERS}/stream")).await;
    app.get("/nothing").await;
    let seen = seen.lock().unwrap();
    assert_eq!(
        *seen,
        [
            "POST /api/v1/records/{schema} 201 17 Some(\"orders\") 1 true",
            "GET /api/v1/records/{schema}/stream 200 0 Some(\"orders\") 1 true",
            "GET  404 0 None 0 true",
        ]
    );
}

#[tokio::test]
async fn more_requests_than_may_be_are_refused_at_once() {
    let app = App::with(|state| state.settings.requests_max = 0).await;
    let answer = app.get(ORDERS).await;
    insta::assert_snapshot!("overloaded", answer.show());
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let app = App::with(|state| state.settings.body_idle_timeout = Duration::from_millis(20)).await;
    let body = Body::from_stream(futures_util::stream::pending::<Result<&[u8], std::io::Error>>());
    let kind = [("content-type", "application/x-ndjson")];
    let answer = app
        .call("POST", &format!("{ORDERS}/bulk"), &kind, body)
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.header("connection"), "close");
}
