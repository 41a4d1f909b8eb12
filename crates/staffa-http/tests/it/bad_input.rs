//! Bodies and values that must be refused clearly, with nothing stored.

use http::StatusCode;

use crate::app::App;

const ORDERS: &str = "/api/v1/records/orders";

#[tokio::test]
async fn bodies_that_are_no_record() {
    let app = App::new().await;
    let nested = format!(r#"{{"extra":{}"#, "[".repeat(100_000));
    let cases: [(&[u8], StatusCode); 16] = [
        (b"", StatusCode::BAD_REQUEST),
        (b"{", StatusCode::BAD_REQUEST),
        (b"null", StatusCode::BAD_REQUEST),
        (b"[]", StatusCode::BAD_REQUEST),
        (b"{\"reference\":\"a\"} x", StatusCode::BAD_REQUEST),
        (b"{\"reference\":\"a\",}", StatusCode::BAD_REQUEST),
        (b"{\"reference\":\"\xff\"}", StatusCode::BAD_REQUEST),
        (nested.as_bytes(), StatusCode::BAD_REQUEST),
        (
            br#"{"reference":"a","reference":"b"}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            br#"{"reference":"a","weight":1e400}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            br#"{"reference":"a","quantity":9223372036854775808}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            br#"{"reference":"a\u0000b"}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            br#"{"reference":"a","nope":1}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (br#"{"quantity":1}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (
            br#"{"reference":"a","ordered_on":"2026-02-30"}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            br#"{"reference":"a","amount":"1.234"}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ];
    for (body, status) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = app.post(ORDERS, body.to_vec()).await;
        // The decoder may see one record's fault as the body's: either way it is the client's.
        let refused = [
            status,
            StatusCode::BAD_REQUEST,
            StatusCode::UNPROCESSABLE_ENTITY,
        ];
        assert!(
            refused.contains(&answer.status),
            "{shown}: {}",
            answer.show()
        );
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{shown}"
        );
        assert!(
            answer.json()["errors"].is_array(),
            "{shown}: {}",
            answer.show()
        );
    }
    assert_eq!(app.count("orders").await, 0);
}

#[tokio::test]
async fn all_errors_of_a_record_are_told() {
    let app = App::new().await;
    let body = r#"{"quantity":"x","weight":1e400,"nope":1,"paid":"maybe"}"#;
    insta::assert_snapshot!("all_errors", app.post(ORDERS, body).await.show());
}

#[tokio::test]
async fn bodies_of_the_wrong_kind_or_size() {
    let app = App::with(|state| state.settings.json_body_bytes_max = 100).await;
    let kind = [("content-type", "text/plain")];
    let plain = app.call("POST", ORDERS, &kind, "{}").await;
    insta::assert_snapshot!("unsupported_media_type", plain.show());
    let packed = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    let packed = app.call("POST", ORDERS, &packed, "{}").await;
    assert_eq!(packed.code(), "unsupported_media_type");
    let long = [
        ("content-type", "application/json"),
        ("content-length", "2147483648"),
    ];
    let told = app.call("POST", ORDERS, &long, "{}").await;
    insta::assert_snapshot!("payload_too_large", told.show());
    let untold = app.post(ORDERS, "x".repeat(101)).await;
    assert_eq!(untold.code(), "payload_too_large");
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let app = App::new().await;
    insta::assert_snapshot!("route_not_found", app.get("/api/v1/nothing").await.show());
    let put = app.call("PUT", ORDERS, &[], "").await;
    insta::assert_snapshot!("method_not_allowed", put.show());
    for path in [
        &format!("{ORDERS}/{{}}"),
        &format!("{ORDERS}/1"),
        &format!("{ORDERS}/%ff"),
    ] {
        assert_eq!(app.get(path).await.code(), "invalid_parameter", "{path}");
    }
    let options = app.call("OPTIONS", ORDERS, &[], "").await;
    assert_eq!(options.status, StatusCode::NO_CONTENT);
    let allowed = "GET, HEAD, POST, PATCH, DELETE, OPTIONS";
    assert_eq!(options.header("allow"), allowed);
    let accept = [("accept", "text/html")];
    let html = app.call("GET", ORDERS, &accept, "").await;
    assert_eq!(html.code(), "not_acceptable");
    let unknown = app.get("/api/v1/records/nope").await;
    insta::assert_snapshot!("schema_not_found", unknown.show());
    let missing = app.get(&format!("{ORDERS}/{}", crate::app::id(9))).await;
    insta::assert_snapshot!("record_not_found", missing.show());
}

#[tokio::test]
async fn heads_that_are_too_large() {
    let app = App::new().await;
    let long = app
        .get(&format!("{ORDERS}?filters={}", "a".repeat(9_000)))
        .await;
    insta::assert_snapshot!("uri_too_long", long.show());
    let value = "a".repeat(40_000);
    let large = app.call("GET", ORDERS, &[("x-large", &value)], "").await;
    insta::assert_snapshot!("headers_too_large", large.show());
    let many: Vec<(String, String)> = (0..101)
        .map(|n| (format!("x-{n}"), String::new()))
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        app.call("GET", ORDERS, &many, "").await.code(),
        "headers_too_large"
    );
    let twice = app.call("GET", ORDERS, &[("host", "other")], "").await;
    assert_eq!(twice.code(), "invalid_parameter");
}
