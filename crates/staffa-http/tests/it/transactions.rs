//! Transactions, and how the operation that fails is named.

use http::StatusCode;
use insta::assert_snapshot;

use crate::app::{Answer, App, id};

async fn send(app: &App, operations: &str) -> Answer {
    let body = format!(r#"{{"operations":[{operations}]}}"#);
    app.post("/api/v1/transactions", body).await
}

#[tokio::test]
async fn each_operation_has_a_result() {
    let app = App::new().await;
    let answer = send(
        &app,
        r#"{"op":"create","schema":"orders","as":"order","data":{"reference":"A"}},
           {"op":"create","schema":"readings","data":{"sensor":{"$ref":"order.id"}}},
           {"op":"update","schema":"orders","id":{"$ref":"order.id"},"if_match":1,
            "data":{"quantity":2}},
           {"op":"assert","schema":"orders",
            "filters":[{"field":"quantity","operator":"eq","value":2}]},
           {"op":"create","schema":"orders","as":"other","data":{"reference":"B"}},
           {"op":"delete","schema":"orders","id":{"$ref":"other.id"}}"#,
    )
    .await;
    assert_snapshot!("results", answer.show());
    assert_eq!(app.count("orders").await, 1);
    let empty = send(&app, "").await;
    assert_eq!(empty.status, StatusCode::OK);
    assert_eq!(empty.json()["results"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn a_long_answer_is_whole_when_packed() {
    let app = App::new().await;
    let create =
        |n: usize| format!(r#"{{"op":"create","schema":"orders","data":{{"reference":"r{n}"}}}}"#);
    let operations: Vec<String> = (0..500).map(create).collect();
    let whole = send(&app, &operations.join(",")).await;
    assert_eq!(whole.json()["results"].as_array().map(Vec::len), Some(500));
    assert_eq!(app.count("orders").await, 500);
}

#[tokio::test]
async fn the_failing_operation_is_named() {
    let app = App::new().await.with_orders(1).await;
    let first = r#"{"op":"create","schema":"orders","data":{"reference":"F"}}"#;
    let one = id(1);
    let missing = id(99);
    for (operation, name) in [
        (
            r#"{"op":"create","schema":"orders","data":{"reference":1,"nope":2}}"#.to_owned(),
            "invalid",
        ),
        (
            r#"{"op":"create","schema":"orders","data":{"reference":"A-1"}}"#.to_owned(),
            "taken",
        ),
        (
            format!(r#"{{"op":"delete","schema":"orders","id":"{one}","if_match":7}}"#),
            "moved",
        ),
        (
            format!(r#"{{"op":"update","schema":"orders","id":"{missing}","data":{{}}}}"#),
            "missing",
        ),
        (
            format!(r#"{{"op":"assert","schema":"orders","id":"{missing}"}}"#),
            "assertion",
        ),
        (
            r#"{"op":"create","schema":"orders","data":{"reference":{"$ref":"x.id"}}}"#.to_owned(),
            "reference",
        ),
        (
            r#"{"op":"crate","schema":"orders","data":{}}"#.to_owned(),
            "verb",
        ),
    ] {
        let answer = send(&app, &format!("{first},{operation}")).await;
        assert_snapshot!(name, answer.show());
        assert_eq!(app.count("orders").await, 1, "{operation}");
    }
    let broken = app.post("/api/v1/transactions", r#"{"operations":["#).await;
    assert_eq!(broken.code(), "malformed_json");
}
