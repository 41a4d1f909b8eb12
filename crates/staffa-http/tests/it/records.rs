//! One record at a time.

use axum::body::Body;
use http::StatusCode;
use insta::assert_snapshot;

use crate::app::{App, id};

const ORDERS: &str = "/api/v1/records/orders";

#[tokio::test]
async fn create_and_read() {
    let app = App::new().await;
    let body = r#"{"reference":"A-1","amount":"12.50","shipped_at":"2026-01-01T01:00:00+01:00",
        "quantity":9007199254740993,"tags":["a"],"extra":{"b":[1,null]}}"#;
    assert_snapshot!("created", app.post(ORDERS, body).await.show());
    let found = app.get(&format!("{ORDERS}/{}", id(1))).await;
    assert_snapshot!("found", found.show());
    let some = app
        .get(&format!("{ORDERS}/{}?fields=quantity,reference", id(1)))
        .await;
    assert_snapshot!("some_fields", some.show());
}

#[tokio::test]
async fn create_in_an_envelope() {
    let app = App::new().await;
    let body = r#"{"schema_name":"orders","data":{"reference":"A-1"}}"#;
    assert_snapshot!(
        "created_enveloped",
        app.post("/api/v1/records", body).await.show()
    );
    for body in [
        r#"{"data":{}}"#,
        r#"{"schema_name":"orders"}"#,
        "[]",
        r#"{"schema_name":1}"#,
    ] {
        let answer = app.post("/api/v1/records", body).await;
        assert!(answer.status.is_client_error(), "{body}: {}", answer.show());
    }
    let unknown = app
        .post("/api/v1/records", r#"{"schema_name":"nope","data":{}}"#)
        .await;
    assert_eq!(unknown.code(), "schema_not_found");
    assert_eq!(app.count("orders").await, 1);
}

#[tokio::test]
async fn replace_and_patch() {
    let app = App::new().await.with_orders(1).await;
    let path = format!("{ORDERS}/{}", id(1));
    let json = [("content-type", "application/json")];
    let replaced = app
        .call("PUT", &path, &json, r#"{"reference":"B-1"}"#)
        .await;
    assert_eq!(replaced.status, StatusCode::OK, "{}", replaced.text());
    assert_eq!(replaced.header("etag"), "\"2\"");
    let merge = [("content-type", "application/merge-patch+json")];
    let patched = app.call("PATCH", &path, &merge, r#"{"quantity":7}"#).await;
    assert_snapshot!("patched", patched.show());
    let bad = app
        .call("PATCH", &path, &json, r#"{"reference":null}"#)
        .await;
    assert_snapshot!("patch_refused", bad.show());
}

#[tokio::test]
async fn a_change_may_insist_on_a_version() {
    let app = App::new().await.with_orders(1).await;
    let path = format!("{ORDERS}/{}", id(1));
    let put = async |tag: &str| {
        let headers = [("content-type", "application/json"), ("if-match", tag)];
        app.call("PUT", &path, &headers, r#"{"reference":"B"}"#)
            .await
    };
    assert_snapshot!("version_mismatch", put("\"9\"").await.show());
    for tag in ["W/\"1\"", "\"x\"", "\"0\", \"5\""] {
        assert_eq!(put(tag).await.code(), "version_mismatch", "{tag}");
    }
    assert_eq!(put("1").await.code(), "invalid_parameter");
    assert_eq!(put("\"1\"").await.status, StatusCode::OK);
    assert_eq!(put("\"7\", \"2\"").await.status, StatusCode::OK);
    assert_eq!(put("*").await.status, StatusCode::OK);
    let delete = async |tag: &str| {
        app.call("DELETE", &path, &[("if-match", tag)], Body::empty())
            .await
    };
    assert_eq!(delete("\"1\"").await.code(), "version_mismatch");
    assert_eq!(delete("W/\"4\"").await.code(), "version_mismatch");
    assert_eq!(delete("\"4\"").await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete("\"4\"").await.code(), "record_not_found");
}

#[tokio::test]
async fn a_reader_may_have_the_version_already() {
    let app = App::new().await.with_orders(1).await;
    let path = format!("{ORDERS}/{}", id(1));
    let get = async |tag: &str| {
        app.call("GET", &path, &[("if-none-match", tag)], Body::empty())
            .await
    };
    for tag in ["\"1\"", "W/\"1\"", "*", "\"8\", \"1\""] {
        let answer = get(tag).await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{tag}");
        assert_eq!(answer.header("etag"), "\"1\"");
        assert_eq!(answer.text(), "");
    }
    assert_eq!(get("\"2\"").await.status, StatusCode::OK);
}

#[tokio::test]
async fn delete_then_everything_is_a_404() {
    let app = App::new().await.with_orders(1).await;
    let path = format!("{ORDERS}/{}", id(1));
    let gone = app.call("DELETE", &path, &[], Body::empty()).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let json = [("content-type", "application/json")];
    for (method, body) in [
        ("GET", ""),
        ("PUT", r#"{"reference":"x"}"#),
        ("PATCH", "{}"),
        ("DELETE", ""),
    ] {
        let answer = app.call(method, &path, &json, body).await;
        assert_eq!(answer.code(), "record_not_found", "{method}");
    }
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let app = App::new().await.with_orders(1).await;
    let path = format!("{ORDERS}/{}", id(1));
    let head = app.call("HEAD", &path, &[], Body::empty()).await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.header("etag"), "\"1\"");
    assert_eq!(head.text(), "");
}

#[tokio::test]
async fn taken_values_and_append_only_schemas_are_refused() {
    let app = App::new().await.with_orders(1).await;
    let taken = app.post(ORDERS, r#"{"reference":"A-1"}"#).await;
    assert_snapshot!("unique_violation", taken.show());
    let reading = app
        .post("/api/v1/records/readings", r#"{"sensor":"s"}"#)
        .await;
    assert_eq!(reading.status, StatusCode::CREATED);
    let delete = app
        .call("DELETE", reading.header("location"), &[], Body::empty())
        .await;
    assert_snapshot!("unsupported_change", delete.show());
}
