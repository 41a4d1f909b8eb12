//! Streams of records.

use axum::body::Body;
use http::StatusCode;
use insta::assert_snapshot;

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

#[tokio::test]
async fn what_does_not_go_together_is_refused() {
    let app = App::new().await;
    for query in [
        "format=xml",
        "format=csv&end_marker=true",
        "format=csv&shape=record",
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
