//! Changes of all records that match a filter.

use http::StatusCode;
use insta::assert_snapshot;

use crate::app::App;

const ORDERS: &str = "/api/v1/records/orders";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test]
async fn records_that_match_are_changed_and_removed() {
    let app = App::new().await.with_orders(4).await;
    let path = format!("{ORDERS}?filter[quantity][gte]=3");
    let patched = app.call("PATCH", &path, &JSON, r#"{"paid":true}"#).await;
    assert_snapshot!("patched", patched.show());
    let paid = format!(
        "{ORDERS}?filters=%5B%7B%22field%22:%22paid%22,%22operator%22:%22eq%22,%22value%22:true%7D%5D"
    );
    let counted = app
        .call("DELETE", &format!("{paid}&dry_run=true"), &[], "")
        .await;
    assert_eq!(counted.json()["affected"], 2, "{}", counted.text());
    assert_eq!(app.count("orders").await, 4);
    let removed = app.call("DELETE", &paid, &[], "").await;
    assert_eq!(removed.json()["affected"], 2, "{}", removed.text());
    assert_eq!(app.count("orders").await, 2);
}

#[tokio::test]
async fn too_many_are_refused() {
    let app = App::new().await.with_orders(3).await;
    let path = format!("{ORDERS}?filter[quantity][gt]=0&max_affected=2");
    let refused = app.call("DELETE", &path, &[], "").await;
    assert_snapshot!("too_many_affected", refused.show());
    assert_eq!(app.count("orders").await, 3);
    // A request may allow more than one may change at a time; what matters is how many match.
    let path = format!("{ORDERS}?filter[quantity][gt]=0&max_affected=18446744073709551615");
    let done = app.call("DELETE", &path, &[], "").await;
    assert_eq!(done.json()["affected"], 3, "{}", done.text());
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let app = App::new().await.with_orders(1).await;
    for (query, code) in [
        ("", "invalid_parameter"),
        ("?filters=[]", "invalid_parameter"),
        ("?filter[nope]=1", "unknown_field"),
        ("?filter[quantity]=1&max_affected=0", "invalid_parameter"),
        ("?filter[quantity]=1&dry_run=perhaps", "invalid_parameter"),
        ("?filter[quantity]=1&size=3", "invalid_parameter"),
    ] {
        for (method, body) in [("PATCH", "{}"), ("DELETE", "")] {
            let path = format!("{ORDERS}{query}");
            let answer = app.call(method, &path, &JSON, body).await;
            assert_eq!(answer.code(), code, "{method} {query}");
        }
    }
    let path = format!("{ORDERS}?filter[quantity]=1");
    let headers = [JSON[0], ("if-match", "\"1\"")];
    let one = app.call("PATCH", &path, &headers, "{}").await;
    assert_eq!(one.code(), "invalid_parameter");
    let wrong = app.call("PATCH", &path, &JSON, r#"{"quantity":"x"}"#).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let readings = app
        .call(
            "DELETE",
            "/api/v1/records/readings?filter[sensor]=a",
            &[],
            "",
        )
        .await;
    assert_eq!(readings.code(), "unsupported_change");
}
