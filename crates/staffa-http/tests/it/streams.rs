//! Streams of records.

use axum::body::Body;
use http::StatusCode;
use insta::assert_snapshot;

use staffa_domain::SchemaName;
use staffa_domain::schema::UnknownProperties;
use staffa_testkit::schemas;

use crate::app::App;

const STREAM: &str = "/api/v1/records/orders/stream";

#[tokio::test]
async fn lines_of_records() {
    let app = App::new().await.with_orders(3).await;
    let all = app.get(STREAM).await;
    assert_eq!(all.header("content-type"), "application/x-ndjson");
    assert_eq!(all.text().lines().count(), 3);
    let trailers = all.trailers.as_ref().unwrap();
    assert_eq!(trailers["x-row-count"], "3");
    assert_eq!(trailers["x-stream-status"], "complete");
    let query = "sort=-quantity&limit=2&fields=reference,quantity&shape=data&end_marker=true";
    assert_snapshot!("lines", app.get(&format!("{STREAM}?{query}")).await.show());
    let none = app
        .get(&format!("{STREAM}?filter[quantity][gt]=99&end_marker=true"))
        .await;
    assert_eq!(
        none.text(),
        "{\"$end\":{\"rows\":0,\"status\":\"complete\"}}\n"
    );
}

#[tokio::test]
async fn csv_by_format_or_accept() {
    let app = App::new().await.with_orders(2).await;
    let query = "sort=quantity&fields=reference,quantity";
    let by_format = app.get(&format!("{STREAM}?{query}&format=csv")).await;
    assert_snapshot!("csv", by_format.show());
    let accept = [("accept", "text/csv")];
    let by_accept = app
        .call("GET", &format!("{STREAM}?{query}"), &accept, Body::empty())
        .await;
    assert_eq!(by_accept.text(), by_format.text());
    // A browser stores it; what is in it is never shown as a page of this server.
    let file = "attachment; filename=\"orders.csv\"";
    assert_eq!(by_accept.header("content-disposition"), file);
    let accept = [("accept", "image/png")];
    let neither = app.call("GET", STREAM, &accept, Body::empty()).await;
    assert_snapshot!("not_acceptable", neither.show());
}

const ARROW: &str = "application/vnd.apache.arrow.stream";
const PARQUET: &str = "application/vnd.apache.parquet";

#[tokio::test]
async fn arrow_and_parquet_come_out_and_go_in() {
    let orders = schemas::orders().schema().clone();
    let mut copies = orders.clone();
    copies.name = SchemaName::new("copies").unwrap();
    // The system fields of a stream are of the records that it was made of.
    copies.unknown_properties = UnknownProperties::Ignore;
    let app = App::with_schemas(vec![orders, copies])
        .await
        .with_orders(300)
        .await;
    let data = "format=ndjson&shape=data&sort=quantity";
    let expected = app.get(&format!("{STREAM}?{data}")).await;
    for (word, kind, query, file) in [
        ("arrow", ARROW, "", "orders.arrows"),
        (
            "parquet",
            PARQUET,
            "?mode=upsert&on_conflict=reference",
            "orders.parquet",
        ),
    ] {
        let by_format = app
            .get(&format!("{STREAM}?format={word}&sort=quantity"))
            .await;
        assert_eq!(by_format.header("content-type"), kind);
        let named = format!("attachment; filename=\"{file}\"");
        assert_eq!(by_format.header("content-disposition"), named);
        assert_eq!(by_format.trailers.as_ref().unwrap()["x-row-count"], "300");
        let by_accept = format!("{STREAM}?sort=quantity");
        let accept = [("accept", kind)];
        let by_accept = app.call("GET", &by_accept, &accept, Body::empty()).await;
        assert_eq!(by_accept.body, by_format.body, "{word}");
        let bulk = format!("/api/v1/records/copies/bulk{query}");
        let body = by_format.body.unwrap();
        let stored = app
            .call("POST", &bulk, &[("content-type", kind)], body)
            .await;
        assert_eq!(stored.status, StatusCode::CREATED, "{}", stored.text());
        let copied = app
            .get(&format!("/api/v1/records/copies/stream?{data}"))
            .await;
        assert_eq!(copied.text(), expected.text(), "{word}");
    }
    let none = app.get(&format!("{STREAM}?format=parquet&limit=0")).await;
    assert_eq!(
        none.trailers.as_ref().unwrap()["x-stream-status"],
        "complete"
    );
    let bulk = "/api/v1/records/copies/bulk";
    let cut = none.body.unwrap().slice(..40);
    let cut = app
        .call("POST", bulk, &[("content-type", PARQUET)], cut)
        .await;
    assert_eq!(cut.code(), "malformed_json", "{}", cut.text());
}

#[tokio::test]
async fn streams_are_packed_unless_they_are_so_in_themselves() {
    let app = App::new().await.with_orders(200).await;
    let packing = [("accept-encoding", "gzip, zstd")];
    for (word, coded) in [
        ("ndjson", true),
        ("csv", true),
        ("arrow", true),
        ("parquet", false),
    ] {
        let path = format!("{STREAM}?format={word}");
        let plain = app.get(&path).await;
        let packed = app.call("GET", &path, &packing, Body::empty()).await;
        assert_eq!(
            !packed.header("content-encoding").is_empty(),
            coded,
            "{word}"
        );
        let (plain_len, len) = (plain.body.unwrap().len(), packed.body.unwrap().len());
        assert_eq!(len < plain_len, coded, "{word}: {len} of {plain_len}");
        assert_eq!(
            packed.trailers.unwrap()["x-stream-status"],
            "complete",
            "{word}"
        );
    }
}

#[tokio::test]
async fn what_does_not_go_together_is_refused() {
    let app = App::new().await;
    for query in [
        "format=xml",
        "format=csv&end_marker=true",
        "format=csv&shape=record",
        "format=arrow&shape=record",
        "format=parquet&end_marker=true",
        "limit=-1",
    ] {
        let answer = app.get(&format!("{STREAM}?{query}")).await;
        assert_eq!(answer.code(), "invalid_parameter", "{query}");
    }
    assert_eq!(
        app.get("/api/v1/records/nope/stream").await.code(),
        "schema_not_found"
    );
}

#[tokio::test]
async fn an_error_before_the_first_byte_is_a_problem() {
    let app = App::new().await;
    app.storage.monitor.close().await;
    let answer = app.get(STREAM).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.code(), "draining");
}
