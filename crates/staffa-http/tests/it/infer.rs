//! Schemas proposed from samples.

use axum::body::{Body, Bytes};
use futures_util::StreamExt as _;
use http::StatusCode;
use insta::assert_snapshot;

use crate::app::{App, request};

const INFER: &str = "/api/v1/schemas/infer";
const CSV: (&str, &str) = ("content-type", "text/csv");

fn rows() -> String {
    (0..20)
        .map(|n| {
            let delay = if n == 7 {
                "NA".to_owned()
            } else {
                n.to_string()
            };
            format!(
                "{},{},{delay},2013-01-01 10:00:00\n",
                1_000 + n,
                ["EWR", "JFK"][n % 2]
            )
        })
        .collect::<Vec<_>>()
        .concat()
}

#[tokio::test]
async fn a_proposal_is_json_or_yaml() {
    let app = App::new().await;
    let body = format!("Flight No,origin,delay,at\n{}", rows());
    let path = format!("{INFER}?name=My Flights").replace(' ', "%20");
    let json = app.call("POST", &path, &[CSV], body.clone()).await;
    assert_snapshot!("proposal_json", json.show());
    for kind in ["application/yaml", "text/yaml"] {
        let answer = app
            .call("POST", &path, &[CSV, ("accept", kind)], body.clone())
            .await;
        assert_eq!(answer.header("content-type"), kind);
        if kind == "text/yaml" {
            assert_snapshot!("proposal_yaml", answer.show());
        }
    }
    let answer = app
        .call("POST", &path, &[CSV, ("accept", "image/png")], body)
        .await;
    assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn what_was_proposed_takes_the_sample() {
    let app = App::new().await;
    let body = format!("number,origin,delay,at\n{}", rows());
    let answer = app
        .call("POST", &format!("{INFER}?name=trips"), &[CSV], body.clone())
        .await;
    let proposal = answer.json();
    assert_eq!(proposal["null_value"], "NA");
    let document = proposal["schema"].to_string();
    let json = ("content-type", "application/json");
    let made = app
        .call("PUT", "/api/v1/schemas/trips", &[json], document)
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let bulk = "/api/v1/records/trips/bulk?null_value=NA";
    let stored = app.call("POST", bulk, &[CSV], body).await;
    assert_eq!(stored.status, StatusCode::CREATED, "{}", stored.text());
    assert_eq!(app.count("trips").await, 20);
}

#[tokio::test]
async fn of_a_long_sample_the_beginning_is_read() {
    let app = App::new().await;
    let rows: Vec<String> = (0..10_001).map(|n| format!("{n}\n")).collect();
    let rows = rows.concat();
    let answer = app.call("POST", INFER, &[CSV], format!("a\n{rows}")).await;
    let proposal = answer.json();
    assert_eq!(proposal["rows_read"], 10_000);
    assert_eq!(proposal["truncated"], true);
    assert_eq!(proposal["schema"]["name"], "records");

    // An endless body is left alone once enough of it came.
    let piece = Bytes::from("1234567\n".repeat(8_192));
    let endless = futures_util::stream::repeat(piece).map(Ok::<_, std::io::Error>);
    let request = request("POST", INFER)
        .header("content-type", "application/x-ndjson")
        .header("transfer-encoding", "chunked")
        .body(Body::from_stream(endless))
        .unwrap();
    let answer = app.send(request).await;
    // No line of it is a record.
    assert_eq!(
        answer.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn mistakes_are_told() {
    let app = App::new().await;
    for (path, headers, body, status, code) in [
        (
            INFER,
            vec![("content-type", "text/plain")],
            "a\n1\n",
            415,
            "unsupported_media_type",
        ),
        (
            "/api/v1/schemas/infer?nam=x",
            vec![CSV],
            "a\n1\n",
            400,
            "invalid_parameter",
        ),
        (
            INFER,
            vec![("content-type", "application/json")],
            "{\"a\": 1}",
            400,
            "malformed_json",
        ),
        (
            INFER,
            vec![("content-type", "application/json")],
            "[]",
            422,
            "validation_failed",
        ),
        (
            INFER,
            vec![CSV, ("content-encoding", "br")],
            "a\n1\n",
            415,
            "unsupported_media_type",
        ),
        (
            "/api/v1/schemas/infer?delimiter=ab",
            vec![CSV],
            "a\n1\n",
            400,
            "invalid_parameter",
        ),
    ] {
        let answer = app.call("POST", path, &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text());
        assert_eq!(answer.code(), code, "{path}");
    }
}

#[tokio::test]
async fn a_schema_may_be_called_infer() {
    let app = App::new().await;
    let json = ("content-type", "application/json");
    assert_eq!(app.get(INFER).await.code(), "schema_not_found");
    let document = r#"{"name": "infer", "properties": [{"name": "a", "type": "integer"}]}"#;
    let made = app.call("PUT", INFER, &[json], document).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    assert_eq!(made.header("location"), INFER);
    assert_eq!(app.get(INFER).await.json()["name"], "infer");
    let versions = app.get(&format!("{INFER}/versions")).await;
    assert_eq!(versions.json().as_array().unwrap().len(), 1);
    assert_eq!(
        app.get(&format!("{INFER}/json-schema")).await.status,
        StatusCode::OK
    );
    let proposed = app.call("POST", INFER, &[CSV], "a\n1\n").await;
    assert_eq!(proposed.status, StatusCode::OK, "{}", proposed.text());
    let other = app.call("PATCH", INFER, &[json], "{}").await;
    assert_eq!(
        other.header("allow"),
        "POST, GET, HEAD, PUT, DELETE, OPTIONS"
    );
    let gone = app
        .call("DELETE", &format!("{INFER}?confirm=infer"), &[], "")
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text());
}
