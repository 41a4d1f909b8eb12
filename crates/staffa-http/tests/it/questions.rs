//! Pages, filters and counts.

use http::StatusCode;
use insta::assert_snapshot;

use crate::app::App;

const ORDERS: &str = "/api/v1/records/orders";

async fn references(app: &App, query: &str) -> Vec<String> {
    let answer = app.get(&format!("{ORDERS}?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text());
    let page = answer.json();
    let items = page["data"]["items"].as_array().unwrap().iter();
    items
        .map(|item| item["data"]["reference"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_page_in_its_envelope() {
    let app = App::new().await.with_orders(3).await;
    let page = app
        .get(&format!("{ORDERS}?page=2&size=1&fields=quantity"))
        .await;
    let mut text = page.show();
    let cursor = page.json()["data"]["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    text = text.replace(&cursor, "[cursor]");
    assert_snapshot!("page", text);
    assert_snapshot!(
        "empty_page",
        app.get("/api/v1/records/readings").await.show()
    );
    assert_snapshot!("count", app.get(&format!("{ORDERS}/count")).await.show());
}

#[tokio::test]
async fn filters_and_order() {
    let app = App::new().await.with_orders(4).await;
    assert_eq!(
        references(&app, "sort=-quantity&size=2").await,
        ["A-4", "A-3"]
    );
    assert_eq!(
        references(&app, "filter[quantity][gt]=2").await,
        ["A-3", "A-4"]
    );
    assert_eq!(
        references(&app, "filter[reference]=A-2&filter[quantity]=2").await,
        ["A-2"]
    );
    let filters =
        "%5B%7B%22field%22:%22quantity%22,%22operator%22:%22lte%22,%22value%22:%222%22%7D%5D";
    assert_eq!(
        references(&app, &format!("filters={filters}")).await,
        ["A-1", "A-2"]
    );
    let both = format!("filters={filters}&filter%5Bquantity%5D%5Bne%5D=1");
    assert_eq!(references(&app, &both).await, ["A-2"]);
}

#[tokio::test]
async fn long_and_short_filters_count_together() {
    let app = App::new().await.with_orders(1).await;
    let long = |count: usize| {
        let one = r#"{"field":"quantity","operator":"is_not_null"}"#;
        let all = format!("[{}]", vec![one; count].join(","));
        all.replace('"', "%22")
            .replace('{', "%7B")
            .replace('}', "%7D")
    };
    let short = "filter[quantity]=1&filter[quantity][lt]=2";
    let most = references(&app, &format!("filters={}&{short}", long(48))).await;
    assert_eq!(most, ["A-1"]);
    let query = format!("{ORDERS}?filters={}&{short}", long(49));
    assert_eq!(app.get(&query).await.code(), "invalid_parameter");
}

#[tokio::test]
async fn the_same_as_a_body() {
    let app = App::new().await.with_orders(4).await;
    let body = r#"{"filters":{"or":[{"field":"quantity","operator":"eq","value":1},
        {"field":"quantity","operator":"eq","value":3}]},
        "sort":[{"field":"quantity","order":"desc"}],"fields":["reference"],"size":5}"#;
    let page = app.post(&format!("{ORDERS}/query"), body).await.json();
    assert_eq!(page["data"]["total"], 2);
    assert_eq!(
        page["data"]["items"][0]["data"],
        serde_json::json!({"reference": "A-3"})
    );
    for (body, code) in [
        ("{", "malformed_json"),
        (r#"{"pages":1}"#, "invalid_parameter"),
        (r#"{"size":1,"size":2}"#, "invalid_parameter"),
        (r#"{"page":-1}"#, "invalid_parameter"),
        (r#"{"fields":["nope"]}"#, "unknown_field"),
        (r#"{"sort":"nope"}"#, "unknown_field"),
        (r#"{"count":"many"}"#, "invalid_parameter"),
    ] {
        let answer = app.post(&format!("{ORDERS}/query"), body).await;
        assert_eq!(answer.code(), code, "{body}: {}", answer.text());
    }
}

#[tokio::test]
async fn figures_over_groups() {
    let app = App::new().await.with_orders(4).await;
    let aggregate = format!("{ORDERS}/aggregate");
    let body = r#"{"group_by":[{"field":"quantity","width":2,"as":"pair"}],
        "metrics":[{"op":"count"},{"op":"sum","field":"quantity"}],
        "having":[{"field":"count","operator":"gt","value":"1"}],"sort":"-pair"}"#;
    assert_snapshot!("groups", app.post(&aggregate, body).await.show());
    // More groups than are encoded in one piece.
    let many: Vec<String> = (5..=200)
        .map(|n| format!(r#"{{"reference":"A-{n}","quantity":{n}}}"#))
        .collect();
    let kind = [("content-type", "application/json")];
    let bulk = format!("{ORDERS}/bulk");
    let stored = app
        .call("POST", &bulk, &kind, format!("[{}]", many.join(",")))
        .await;
    assert_eq!(stored.status, StatusCode::CREATED);
    let each = app
        .post(&aggregate, r#"{"group_by":["quantity"]}"#)
        .await
        .json();
    let items = each["data"]["items"].as_array().unwrap();
    assert_eq!(items.len(), 200);
    for (item, n) in items.iter().zip(1..) {
        assert_eq!(*item, serde_json::json!({"quantity": n, "count": 1}));
    }
    for (body, code, pointer) in [
        ("", "malformed_json", ""),
        ("[1]", "invalid_parameter", ""),
        ("\"\\ud800\"", "invalid_parameter", ""),
        (r#"{"limit":1,"limit":2}"#, "invalid_parameter", ""),
        (r#"{"metrics":[]}"#, "invalid_parameter", ""),
        (r#"{"metrics":{}}"#, "invalid_parameter", "/metrics"),
        (
            r#"{"metrics":["count"]}"#,
            "invalid_parameter",
            "/metrics/0",
        ),
        (
            r#"{"metrics":[{"op":"count"},{"op":"count"}]}"#,
            "invalid_parameter",
            "/metrics/1",
        ),
        (r#"{"group_by":["nope"]}"#, "unknown_field", "/group_by/0"),
        (
            r#"{"having":[{"field":"count","operator":"is","value":1}]}"#,
            "unknown_operator",
            "/having/0/operator",
        ),
        (r#"{"limit":0}"#, "invalid_parameter", "/limit"),
    ] {
        let answer = app.post(&aggregate, body).await;
        assert_eq!(answer.code(), code, "{body}: {}", answer.text());
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{body}");
    }
}

#[tokio::test]
async fn cursors_walk_through_all_and_belong_to_their_question() {
    let app = App::new().await.with_orders(5).await;
    let mut seen = Vec::new();
    let mut query = "size=2&sort=-quantity".to_owned();
    let mut first = String::new();
    loop {
        let page = app.get(&format!("{ORDERS}?{query}")).await.json();
        for item in page["data"]["items"].as_array().unwrap() {
            seen.push(item["data"]["quantity"].as_i64().unwrap());
        }
        let Some(cursor) = page["data"]["next_cursor"].as_str() else {
            break;
        };
        if first.is_empty() {
            cursor.clone_into(&mut first);
        }
        query = format!("size=2&sort=-quantity&cursor={cursor}");
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    let other = app
        .get(&format!("{ORDERS}?size=2&sort=quantity&cursor={first}"))
        .await;
    assert_snapshot!("cursor_mismatch", other.show());
    let both = app
        .get(&format!("{ORDERS}?page=1&sort=-quantity&cursor={first}"))
        .await;
    assert_eq!(both.code(), "invalid_parameter");
}

#[tokio::test]
async fn parameters_are_read_strictly() {
    let app = App::new().await;
    for (query, code) in [
        ("sise=1", "invalid_parameter"),
        ("size=0", "invalid_parameter"),
        ("size=10001", "invalid_parameter"),
        ("size=ten", "invalid_parameter"),
        ("page=0", "invalid_parameter"),
        ("page=99999999999999999999", "invalid_parameter"),
        ("page=1000000000", "invalid_parameter"),
        ("page=1&page=1", "invalid_parameter"),
        ("filters=invalid_json", "invalid_parameter"),
        ("filters=%", "invalid_parameter"),
        ("filters=%ff", "invalid_parameter"),
        ("filter[nope]=1", "unknown_field"),
        ("filter[quantity][is]=1", "unknown_operator"),
        ("filter[quantity]=x", "invalid_parameter"),
        ("sort=nope", "unknown_field"),
        ("fields=nope", "unknown_field"),
        ("count=2", "invalid_parameter"),
        ("cursor=abc", "cursor_mismatch"),
    ] {
        let answer = app.get(&format!("{ORDERS}?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.code(), code, "{query}");
    }
    assert_snapshot!(
        "unknown_parameter",
        app.get(&format!("{ORDERS}?sise=1")).await.show()
    );
    assert_snapshot!(
        "unknown_field",
        app.get(&format!("{ORDERS}?sort=quantiti")).await.show()
    );
}
