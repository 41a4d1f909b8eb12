//! Many records at once.

use http::StatusCode;
use insta::assert_snapshot;

use crate::app::{Answer, App};

const BULK: &str = "/api/v1/records/orders/bulk";
const NDJSON: &str = "application/x-ndjson";

async fn send(app: &App, query: &str, kind: &str, body: impl Into<Vec<u8>>) -> Answer {
    let body: Vec<u8> = body.into();
    app.call(
        "POST",
        &format!("{BULK}{query}"),
        &[("content-type", kind)],
        body,
    )
    .await
}

#[tokio::test]
async fn every_format_is_taken() {
    let app = App::new().await;
    let array = r#"[{"reference":"a"},{"reference":"b","quantity":2}]"#;
    assert_snapshot!(
        "stored",
        send(&app, "", "application/json", array).await.show()
    );
    let lines = "{\"reference\":\"c\"}\n{\"reference\":\"d\"}\n";
    assert_eq!(send(&app, "", NDJSON, lines).await.json()["inserted"], 2);
    let csv = "reference;quantity\ne;NA\nf;5\n";
    let answer = send(&app, "?delimiter=;&null_value=NA", "text/csv", csv).await;
    assert_eq!(answer.json()["inserted"], 2, "{}", answer.text());
    assert_eq!(app.count("orders").await, 6);
    let empty = send(&app, "", NDJSON, "").await;
    assert_eq!(
        (empty.status, empty.json()["received"].as_u64()),
        (StatusCode::CREATED, Some(0))
    );
}

#[tokio::test]
async fn one_bad_record_stops_all_unless_told_otherwise() {
    let app = App::new().await;
    let lines =
        "{\"reference\":\"a\"}\n{\"reference\":1,\"nope\":2}\nnot json\n{\"reference\":\"b\"}\n";
    let refused = send(&app, "", NDJSON, lines).await;
    assert_snapshot!("aborted", refused.show());
    assert_eq!(app.count("orders").await, 0);
    let first = send(&app, "?max_errors=1", NDJSON, lines).await.json();
    assert_eq!(
        (
            first["errors"].as_array().unwrap().len(),
            &first["errors_truncated"]
        ),
        (1, &true.into())
    );
    let some = send(&app, "?on_error=continue", NDJSON, lines).await;
    assert_eq!(some.status, StatusCode::MULTI_STATUS, "{}", some.text());
    assert_eq!(some.json()["inserted"], 2);
    let none = send(&app, "?on_error=continue", NDJSON, "{}\n").await;
    assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_taken_value_stops_all() {
    let app = App::new().await.with_orders(1).await;
    let answer = send(
        &app,
        "",
        NDJSON,
        "{\"reference\":\"b\"}\n{\"reference\":\"A-1\"}\n",
    )
    .await;
    assert_snapshot!("taken", answer.show());
    assert_eq!(app.count("orders").await, 1);
}

#[tokio::test]
async fn all_values_that_are_taken_are_told_however_long_the_body() {
    let app = App::new().await.with_orders(2).await;
    let lines = |mistake: &str| {
        let mut lines = String::new();
        for index in 0..60_000 {
            let line = match index {
                3 => "{\"reference\":\"A-1\"}\n".to_owned(),
                30_000 => "{\"reference\":\"A-2\"}\n".to_owned(),
                40_000 => mistake.to_owned(),
                59_999 => "{\"reference\":\"B-3999\"}\n{\"reference\":\"B-59998\"}\n".to_owned(),
                _ => format!("{{\"reference\":\"B-{index}\"}}\n"),
            };
            lines.push_str(&line);
        }
        lines
    };
    let told = |answer: &Answer| {
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        let told = errors.iter().map(|error| {
            let code = error["code"].as_str().unwrap_or_default().to_owned();
            (error["index"].as_u64().unwrap(), code)
        });
        told.collect::<Vec<_>>()
    };
    let taken = |index| (index, "unique_violation".to_owned());
    let answer = send(&app, "", NDJSON, lines("{\"reference\":\"B-4\"}\n")).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text());
    assert_eq!(answer.code(), "unique_violation");
    let all = told(&answer);
    assert_eq!(all[..2], [taken(3), taken(30_000)], "{all:?}");
    assert!(all.contains(&taken(60_000)), "{all:?}");
    let answer = send(&app, "", NDJSON, lines("{}\n")).await;
    let all = told(&answer);
    assert!(all.contains(&(40_000, "required".to_owned())), "{all:?}");
    let answer = send(&app, "?max_errors=1", NDJSON, lines("{}\n")).await;
    assert_eq!(told(&answer).len(), 1, "{}", answer.text());
    assert_eq!(app.count("orders").await, 2);
}

#[tokio::test]
async fn taken_values_leave_the_others_where_they_may() {
    let app = App::new().await.with_orders(2).await;
    let lines = "{\"reference\":\"b\"}\n{\"reference\":\"A-1\"}\n{\"reference\":\"b\"}\n{}\n";
    let some = send(&app, "?on_error=continue&return=ids", NDJSON, lines).await;
    assert_snapshot!("refused", some.show());
    let none = send(
        &app,
        "?on_error=continue",
        NDJSON,
        "{\"reference\":\"A-1\"}\n",
    )
    .await;
    assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(app.count("orders").await, 3);
}

#[tokio::test]
async fn what_was_left_alone_as_asked_is_no_failure() {
    let app = App::new().await.with_orders(2).await;
    let known = "{\"reference\":\"A-1\"}\n{\"reference\":\"A-2\"}\n";
    let bad = "{\"reference\":1}\n";
    for (lines, on_error, status, [ignored, failed]) in [
        (known.to_owned(), "abort", 201, [2, 0]),
        (known.to_owned(), "continue", 201, [2, 0]),
        // Nothing is stored by either; of the first, two of three records went well.
        (format!("{known}{bad}"), "continue", 207, [2, 1]),
        (format!("{known}{bad}"), "abort", 422, [0, 1]),
        (bad.to_owned(), "continue", 422, [0, 1]),
    ] {
        let query = format!("?mode=ignore&on_error={on_error}");
        let answer = send(&app, &query, NDJSON, lines.as_str()).await;
        let said = answer.json();
        assert_eq!(answer.status.as_u16(), status, "{lines} {on_error}: {said}");
        assert_eq!(said["success"], failed == 0, "{said}");
        assert_eq!(
            [&said["ignored"], &said["failed"]],
            [ignored, failed],
            "{said}"
        );
    }
    assert_eq!(app.count("orders").await, 2);
}

#[tokio::test]
async fn every_mode_is_taken() {
    let app = App::new().await.with_orders(3).await;
    let counts = |answer: &Answer| {
        let names = ["inserted", "updated", "ignored", "deleted", "failed"];
        let json = answer.json();
        names.map(|name| json[name].as_u64().unwrap())
    };
    let two = "{\"reference\":\"A-1\"}\n{\"reference\":\"B\"}\n";
    let ignored = send(&app, "?mode=ignore", NDJSON, two).await;
    assert_eq!(counts(&ignored), [1, 0, 1, 0, 0], "{}", ignored.text());
    let upserted = send(&app, "?mode=upsert&on_conflict=reference", NDJSON, two).await;
    assert_eq!(counts(&upserted), [0, 2, 0, 0, 0], "{}", upserted.text());
    let csv = "reference,quantity\nA-2,7\nA-9,8\n";
    let updated = send(&app, "?mode=update&on_error=continue", "text/csv", csv).await;
    assert_eq!(updated.status, StatusCode::MULTI_STATUS);
    assert_eq!(counts(&updated), [0, 1, 0, 0, 1], "{}", updated.text());
    let missing = send(&app, "?mode=delete", "text/csv", "reference\nA-3\nA-9\n").await;
    assert_snapshot!("missing", missing.show());
    let deleted = send(&app, "?mode=delete&return=ids", NDJSON, two).await;
    assert_eq!(deleted.status, StatusCode::CREATED);
    assert_eq!(deleted.json()["ids"].as_array().unwrap().len(), 2);
    assert_eq!(app.count("orders").await, 2);
    let readings = "/api/v1/records/readings/bulk?mode=delete";
    let headers = [("content-type", NDJSON)];
    let unsupported = app.call("POST", readings, &headers, "").await;
    assert_eq!(unsupported.code(), "unsupported_change");
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let app = App::new().await;
    for (query, kind, code) in [
        ("?mode=nope", NDJSON, "invalid_parameter"),
        ("?on_conflict=reference", NDJSON, "invalid_parameter"),
        (
            "?mode=upsert&on_conflict=quantity",
            NDJSON,
            "invalid_parameter",
        ),
        ("?mode=upsert&on_conflict=nope", NDJSON, "unknown_field"),
        ("?return=records", NDJSON, "invalid_parameter"),
        ("?max_errors=0", NDJSON, "invalid_parameter"),
        ("?null_value=NA", NDJSON, "invalid_parameter"),
        ("?delimiter=ab", "text/csv", "invalid_parameter"),
        ("?delimiter=%22", "text/csv", "invalid_parameter"),
        ("", "text/plain", "unsupported_media_type"),
        ("", "application/vnd.apache.parquet", "malformed_json"),
        (
            "",
            "application/vnd.apache.arrow.file",
            "unsupported_media_type",
        ),
    ] {
        let answer = send(&app, query, kind, "").await;
        assert_eq!(answer.code(), code, "{query} {kind}");
    }
    let packed = [("content-type", NDJSON), ("content-encoding", "br")];
    assert_eq!(
        app.call("POST", BULK, &packed, "").await.code(),
        "unsupported_media_type"
    );
    let packed = [("content-type", NDJSON), ("content-encoding", "gzip")];
    let broken = app.call("POST", BULK, &packed, "no gzip").await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST, "{}", broken.text());
    let unknown = app
        .call("POST", "/api/v1/records/nope/bulk", &packed[..1], "")
        .await;
    assert_eq!(unknown.code(), "schema_not_found");
    let csv = send(&app, "", "text/csv", "reference,nope\na,b\n").await;
    assert_snapshot!("unknown_csv_header", csv.show());
}

#[tokio::test]
async fn an_envelope_of_many() {
    let app = App::new().await;
    let path = "/api/v1/records/bulk";
    let body = r#"{"schema_name":"orders","data":[{"reference":"a"},{"reference":"b"}]}"#;
    assert_snapshot!("envelope", app.post(path, body).await.show());
    let body = r#"{"schema_name":"orders","data":[{"reference":"c"}]}"#;
    assert_snapshot!(
        "ids",
        app.post(&format!("{path}?return=ids"), body).await.show()
    );
    let body = r#"{"schema_name":"orders","data":[{"reference":"d"}]}"#;
    assert_snapshot!(
        "none",
        app.post(&format!("{path}?return=none"), body).await.show()
    );
    let bad =
        r#"{"schema_name":"orders","data":[{"reference":"e"},{"reference":"f","quantity":"x"}]}"#;
    assert_snapshot!("invalid", app.post(path, bad).await.show());
    let many = format!(
        r#"{{"schema_name":"orders","data":[{}]}}"#,
        (0..6)
            .map(|n| format!(r#"{{"reference":"m{n}"}}"#))
            .collect::<Vec<_>>()
            .join(",")
    );
    assert_eq!(app.post(path, many).await.code(), "payload_too_large");
    assert_eq!(app.count("orders").await, 4);
}

#[tokio::test]
async fn a_cut_body_stores_nothing() {
    let app = App::new().await;
    let pieces: [Result<&[u8], std::io::Error>; 2] = [
        Ok(b"{\"reference\":\"a\"}\n{\"ref"),
        Err(std::io::Error::other("gone")),
    ];
    let body = axum::body::Body::from_stream(futures_util::stream::iter(pieces));
    let answer = app
        .call("POST", BULK, &[("content-type", NDJSON)], body)
        .await;
    assert_snapshot!("cut", answer.show());
    assert_eq!(app.count("orders").await, 0);
}

#[tokio::test]
async fn a_packed_answer_to_an_envelope_is_whole() {
    let app = App::new().await;
    let rows: Vec<String> = (0..5)
        .map(|n| format!(r#"{{"reference":"r{n}"}}"#))
        .collect();
    let body = format!(r#"{{"schema_name":"orders","data":[{}]}}"#, rows.join(","));
    let headers = [
        ("content-type", "application/json"),
        ("accept-encoding", "gzip"),
    ];
    let answer = app
        .call("POST", "/api/v1/records/bulk", &headers, body)
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(app.count("orders").await, 5);
}
