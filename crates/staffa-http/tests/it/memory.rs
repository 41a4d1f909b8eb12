//! What a request may make of little is counted with what all hold, and refused in time.

use std::fmt::Write as _;
use std::io::Write as _;

use axum::body::Body;
use http::StatusCode;
use tower::ServiceExt;

use crate::app::{Answer, App};

const ORDERS: &str = "/api/v1/records/orders";
const BULK: &str = "/api/v1/records/orders/bulk";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
/// What all requests may hold.
const ALL: u64 = 4 << 20;

async fn small() -> App {
    App::unlimited(|state| state.settings.bodies_bytes_max = ALL).await
}

#[track_caller]
fn check_too_much(answer: &Answer) {
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    assert_eq!(answer.status, status, "{}", answer.show());
    assert_eq!(answer.code(), "payload_too_large");
}

/// An object of so many bytes.
fn object(bytes: usize) -> String {
    format!(r#"{{"t":"{}"}}"#, "x".repeat(bytes))
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(body).unwrap();
    out.finish().unwrap()
}

#[tokio::test]
async fn a_patch_counts_once_for_each_record() {
    let app = small().await.with_orders(30).await;
    let patch = format!(r#"{{"extra":{}}}"#, object(200_000));
    let from = |quantity: u64| format!("{ORDERS}?filter[quantity][gte]={quantity}");
    check_too_much(&app.call("PATCH", &from(1), &JSON, patch.clone()).await);
    let untouched = app.get(&format!("{ORDERS}?size=100&fields=extra")).await;
    assert!(!untouched.text().contains("xxx"));
    // What was refused is free again, and so is what was done.
    for _ in 0..3 {
        let done = app.call("PATCH", &from(26), &JSON, patch.clone()).await;
        assert_eq!(done.json()["affected"], 5, "{}", done.text());
    }
}

#[tokio::test]
async fn a_page_counts_until_it_has_left() {
    let app = small().await;
    for n in 0..5 {
        let body = format!(r#"{{"reference":"{n}","extra":{}}}"#, object(1_000_000));
        let made = app.post(ORDERS, body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.show());
    }
    check_too_much(&app.get(&format!("{ORDERS}?size=5")).await);
    let of_two = format!("{ORDERS}?size=2");
    let ask = || crate::app::request("GET", &of_two).body(Body::empty());
    let unread = app.api.clone().oneshot(ask().unwrap()).await.unwrap();
    assert_eq!(unread.status(), StatusCode::OK);
    let answer = app.get(&of_two).await;
    assert_eq!(answer.code(), "overloaded", "{}", answer.show());
    drop(unread);
    assert_eq!(app.get(&of_two).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_operations_leave_counts_for_each() {
    let app = small().await;
    let body = |updates: usize, named: bool| {
        let extra = object(200_000);
        let mut body = format!(
            r#"{{"operations":[{{"op":"create","schema":"orders","as":"a",
                "data":{{"reference":"A","extra":{extra}}}}}"#
        );
        for n in 0..updates {
            let name = if named {
                format!(r#","as":"b{n}""#)
            } else {
                String::new()
            };
            write!(
                body,
                r#",{{"op":"update","schema":"orders","id":{{"$ref":"a.id"}},
                    "data":{{"quantity":{n}}}{name}}}"#
            )
            .unwrap();
        }
        body + "]}"
    };
    let path = "/api/v1/transactions";
    for (updates, named) in [(40, false), (10, true)] {
        check_too_much(&app.post(path, body(updates, named)).await);
        assert_eq!(app.count("orders").await, 0);
    }
    let done = app.post(path, body(10, false)).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.show());
    assert_eq!(app.count("orders").await, 1);
}

#[tokio::test]
async fn records_that_are_told_count() {
    let app = small().await;
    let body = |from: usize| {
        let mut body = String::from(r#"{"schema_name":"orders","data":["#);
        for n in from..from + 50_000 {
            write!(body, r#"{{"reference":"{n}"}},"#).unwrap();
        }
        body.pop();
        body + "]}"
    };
    let path = "/api/v1/records/bulk";
    check_too_much(&app.post(path, body(0)).await);
    assert_eq!(app.count("orders").await, 0);
    let done = app.post(&format!("{path}?return=ids"), body(0)).await;
    assert_eq!(done.status, StatusCode::CREATED, "{}", done.show());
    assert_eq!(app.count("orders").await, 50_000);
}

#[tokio::test]
async fn what_a_decoder_keeps_counts_unpacked() {
    let app = small().await;
    let line = format!(r#"{{"reference":"a","extra":{}}}"#, object(5 << 20));
    let kept_before_the_name = format!(r#"{{"data":[{line}],"schema_name":"orders"}}"#);
    for (kind, body) in [
        ("application/x-ndjson", line.into_bytes()),
        ("application/vnd.apache.parquet", vec![0; 5 << 20]),
    ] {
        let body = gzip(&body);
        assert!(body.len() < 100_000);
        let headers = [("content-type", kind), ("content-encoding", "gzip")];
        check_too_much(&app.call("POST", BULK, &headers, body).await);
    }
    let path = "/api/v1/records/bulk?return=none";
    check_too_much(&app.post(path, kept_before_the_name).await);
    assert_eq!(app.count("orders").await, 0);
}
