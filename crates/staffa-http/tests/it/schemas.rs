//! Schemas, the description of the API, health.

use std::time::Duration;

use http::StatusCode;
use insta::assert_snapshot;
use staffa_testkit::{ChangeGate, MemoryEngine};

use crate::app::App;

#[tokio::test]
async fn schemas_are_listed_and_described() {
    let app = App::new().await.with_orders(2).await;
    let list = app.get("/api/v1/schemas").await.json();
    let names: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].clone())
        .collect();
    assert_eq!(names, ["orders", "readings"]);
    assert_eq!(list[0]["record_count"], 2);
    assert_eq!(list[0]["record_count_relation"], "eq");
    assert_snapshot!("readings", app.get("/api/v1/schemas/readings").await.show());
    assert_snapshot!(
        "json_schema",
        app.get("/api/v1/schemas/readings/json-schema").await.show()
    );
    assert_snapshot!("no_schema", app.get("/api/v1/schemas/nope").await.show());
}

#[tokio::test]
async fn what_is_around_the_api_is_below_it_too() {
    let app = App::new().await;
    for path in [
        "/openapi.json",
        "/docs",
        "/docs/app.js",
        "/health/live",
        "/health/ready",
    ] {
        let (plain, below) = (
            app.get(path).await,
            app.get(&format!("/api/v1{path}")).await,
        );
        assert_eq!(below.status, StatusCode::OK, "{path}");
        assert_eq!(below.body, plain.body, "{path}");
    }
    assert_eq!(app.get("/api/v1/metrics").await.code(), "route_not_found");
}

#[tokio::test]
async fn health_follows_the_engine() {
    let app = App::new().await;
    assert_eq!(app.get("/health/live").await.status, StatusCode::OK);
    assert_eq!(app.get("/health/ready").await.status, StatusCode::OK);
    app.storage.monitor.close().await;
    assert_eq!(app.get("/health/live").await.status, StatusCode::OK);
    assert_snapshot!("not_ready", app.get("/health/ready").await.show());
    let read = app.get("/api/v1/records/orders").await;
    assert_eq!(read.code(), "draining");
}

#[tokio::test]
async fn every_described_route_is_there() {
    let app = App::new().await;
    let document = app.get("/openapi.json").await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{id}", &crate::app::id(1))
            .replace("{name}", "orders");
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let answer = app.call(&method, &path, &[], "").await;
            assert_ne!(
                answer.status,
                StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}"
            );
            if answer.status == StatusCode::NOT_FOUND {
                assert_ne!(answer.code(), "route_not_found", "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let app = App::new().await;
    for path in ["/docs", "/docs/app.js", "/docs/style.css"] {
        let file = app.get(path).await;
        assert_eq!(file.status, StatusCode::OK);
        assert!(
            file.header("content-security-policy")
                .contains("script-src 'self'")
        );
        for outside in ["src=\"http", "href=\"http", "url(http", "import("] {
            assert!(!file.text().contains(outside), "{path}: {outside}");
        }
    }
}

#[tokio::test]
async fn the_admin_listener_has_health_and_metrics_alone() {
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    let mut state = None;
    App::with(|made| state = Some(made.clone())).await;
    let metrics = std::sync::Arc::new(|| "up 1\n".to_owned());
    let admin = staffa_http::admin_router(state.unwrap(), metrics);
    let get = async |path: &str| {
        let request = crate::app::request("GET", path)
            .body(axum::body::Body::empty())
            .unwrap();
        let response = admin.clone().oneshot(request).await.unwrap();
        let status = response.status();
        (
            status,
            response.into_body().collect().await.unwrap().to_bytes(),
        )
    };
    assert_eq!(get("/metrics").await, (StatusCode::OK, "up 1\n".into()));
    assert_eq!(get("/health/ready").await.0, StatusCode::OK);
    assert_eq!(get("/api/v1/schemas").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_text_that_is_no_document_is_a_400_and_a_wrong_document_a_422() {
    let app = App::new().await;
    let long = format!("{{\"name\": \"{}\"}}", "a".repeat(2 << 20));
    for (kind, body, status, code) in [
        (
            "application/json",
            "{\"name\": \"a\",",
            400,
            "malformed_json",
        ),
        ("application/json", "", 400, "malformed_json"),
        ("application/yaml", "name: [a", 400, "malformed_json"),
        ("application/yaml", "name: a\n\tb: 1", 400, "malformed_json"),
        ("application/json", "[]", 422, "validation_failed"),
        (
            "application/json",
            "{\"name\": 1}",
            422,
            "validation_failed",
        ),
        ("application/yaml", "name: a", 422, "validation_failed"),
        ("application/json", &long, 413, "payload_too_large"),
    ] {
        let path = "/api/v1/schemas/a?dry_run=true";
        let headers = [("content-type", kind)];
        let answer = app.call("PUT", path, &headers, body.to_owned()).await;
        let shown = &body[..body.len().min(40)];
        assert_eq!(answer.status.as_u16(), status, "{shown}: {}", answer.show());
        assert_eq!(answer.code(), code, "{shown}");
        let errors = answer.json()["errors"].clone();
        assert!(errors[0]["message"].is_string(), "{shown}: {errors}");
    }
}

#[tokio::test]
async fn a_change_that_takes_too_long_goes_on() {
    let mut storage = MemoryEngine::open();
    let (gate, catalog) = ChangeGate::before(storage.catalog);
    storage.catalog = catalog;
    let short = Duration::from_millis(30);
    let app = App::over(storage, |state| state.settings.request_timeout = short).await;
    let path = "/api/v1/schemas/notes";
    let body = r#"{"name": "notes", "properties": [{"name": "text", "type": "string"}]}"#;
    gate.close();
    // A machine that is busy may take the time before the change has begun.
    while gate.waiting() == 0 {
        let answer = app.call("PUT", path, &[], body).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        let json = answer.json();
        assert_eq!(
            (&json["code"], &json["retryable"]),
            (&"commit_unknown".into(), &false.into())
        );
        let detail = json["detail"].as_str().unwrap();
        assert!(detail.contains("goes on"), "{detail}");
    }
    let exists = || async { app.get(path).await.status == StatusCode::OK };
    assert!(!exists().await);
    gate.open();
    while !exists().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_change_that_has_begun_by_a_job_is_not_cancelled() {
    let mut storage = MemoryEngine::open();
    let (gate, catalog) = ChangeGate::before(storage.catalog);
    storage.catalog = catalog;
    let app = App::over(storage, |_| ()).await;
    gate.close();
    let path = "/api/v1/schemas/notes";
    let body = r#"{"name": "notes", "properties": [{"name": "text", "type": "string"}]}"#;
    let accepted = app
        .call("PUT", path, &[("prefer", "respond-async")], body)
        .await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.text());
    gate.until_one_waits().await;
    let job = accepted.header("location");
    assert_eq!(app.get(job).await.json()["state"], "running");
    let refused = app.call("DELETE", job, &[], "").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.code(), "conflict");
    gate.open();
    let wait = [("prefer", "wait=10")];
    let ended = app.call("GET", job, &wait, "").await.json();
    assert_eq!(
        (&ended["state"], &ended["schema_version"]),
        (&"succeeded".into(), &1.into())
    );
}
