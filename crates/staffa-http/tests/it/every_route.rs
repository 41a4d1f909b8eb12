//! What holds on every route, whatever it does: the routes are those of the OpenAPI document.

use std::collections::BTreeMap;

use http::{HeaderMap, StatusCode};

use crate::app::{App, id};

const JSON: (&str, &str) = ("content-type", "application/json");

/// The methods of each path, in the order of the document; paths name what there is.
async fn routes(app: &App) -> BTreeMap<String, Vec<String>> {
    let document = app.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .map(|(path, item)| {
            let path = path.replace("{id}", &id(1)).replace("{name}", "orders");
            let methods = item.as_object().unwrap().keys();
            (path, methods.map(|method| method.to_uppercase()).collect())
        })
        .collect()
}

/// The page for people takes what comes.
fn is_api(path: &str) -> bool {
    !path.starts_with("/docs")
}

async fn app() -> App {
    App::new().await.with_orders(1).await
}

#[tokio::test]
async fn every_answer_has_the_headers_of_safety() {
    let app = app().await;
    let mut answers = Vec::new();
    for (path, methods) in routes(&app).await {
        // Also what is refused before any route is found, or by none.
        for method in methods
            .iter()
            .map(String::as_str)
            .chain(["OPTIONS", "TRACE", "HEAD"])
        {
            let answer = app.call(method, &path, &[JSON], "{}").await;
            answers.push((format!("{method} {path}"), answer));
        }
    }
    for (method, path) in [
        ("GET", "/nothing"),
        ("GET", "/health/live?x=1"),
        ("GET", "/api/v1/records/nope"),
        ("CONNECT", "/health/live"),
    ] {
        let answer = app.call(method, path, &[], "").await;
        answers.push((format!("{method} {path}"), answer));
    }
    for (name, answer) in answers {
        let headers = [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("vary", "Authorization, Accept, Accept-Encoding, Origin"),
            ("server", ""),
            ("access-control-allow-origin", ""),
        ];
        for (header, expected) in headers {
            assert_eq!(answer.header(header), expected, "{name}: {header}");
        }
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{name}: {policy}");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{name}: {policy}"
        );
        let cache = match (name.contains(" /docs"), answer.header("etag")) {
            (true, _) if answer.status == StatusCode::OK => "no-cache",
            (_, "") => "no-store",
            _ => "private, no-cache",
        };
        assert_eq!(answer.header("cache-control"), cache, "{name}");
        assert_ne!(answer.header("x-request-id"), "", "{name}");
        assert!(
            answer.header("server-timing").contains("total;dur="),
            "{name}"
        );
    }
}

/// The headers that a GET and a HEAD must have alike.
fn comparable(headers: &HeaderMap) -> Vec<(String, String)> {
    let measured = ["x-request-id", "server-timing", "content-length"];
    let mut all: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !measured.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let app = app().await;
    let routes = routes(&app).await;
    let gets = routes
        .iter()
        .filter(|(_, methods)| methods.contains(&"GET".to_owned()));
    let more = ["/nothing", "/api/v1/records/orders?nope=1"].map(str::to_owned);
    for path in gets.map(|(path, _)| path).chain(&more) {
        for packing in ["identity", "gzip"] {
            let headers = [("accept-encoding", packing)];
            let get = app.call("GET", path, &headers, "").await;
            let head = app.call("HEAD", path, &headers, "").await;
            assert_eq!(head.status, get.status, "{path}");
            assert_eq!(head.body.as_deref(), Some(&b""[..]), "{path}");
            assert_eq!(
                comparable(&head.headers),
                comparable(&get.headers),
                "{path} {packing}"
            );
            // Of a body that is made as it goes nobody knows the length.
            let is_known = !path.ends_with("/stream") && get.header("content-encoding").is_empty();
            assert_eq!(
                !head.header("content-length").is_empty(),
                is_known,
                "{path} {packing}"
            );
        }
    }
    // Where nothing in it is measured, the length is that of the body.
    for path in [
        "/nothing".to_owned(),
        format!("/api/v1/records/orders/{}", id(1)),
    ] {
        let get = app.get(&path).await;
        let head = app.call("HEAD", &path, &[], "").await;
        assert_eq!(
            head.header("content-length"),
            get.text().len().to_string(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn other_methods_are_told_which_ones_there_are() {
    let app = app().await;
    for (path, methods) in routes(&app).await {
        if path == "/api/v1/schemas/infer" {
            // For other methods it is the place of a schema that is called like it.
            continue;
        }
        let mut allowed: Vec<&str> = Vec::new();
        for method in &methods {
            allowed.push(method);
            if method == "GET" {
                allowed.push("HEAD");
            }
        }
        allowed.push("OPTIONS");
        let allow = allowed.join(", ");
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO",
        ] {
            if allowed.contains(&method) {
                continue;
            }
            let answer = app.call(method, &path, &[JSON], "{}").await;
            assert_eq!(
                answer.status,
                StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}"
            );
            assert_eq!(answer.header("allow"), allow, "{method} {path}");
            if method != "HEAD" {
                assert_eq!(answer.code(), "method_not_allowed", "{method} {path}");
            }
        }
        let options = app.call("OPTIONS", &path, &[], "").await;
        assert_eq!(options.status, StatusCode::NO_CONTENT, "{path}");
        assert_eq!(options.header("allow"), allow, "{path}");
        assert_eq!(options.text(), "", "{path}");
    }
}

#[tokio::test]
async fn what_a_route_does_not_know_is_a_problem() {
    let app = app().await;
    for (path, methods) in routes(&app).await {
        for method in methods.iter().filter(|_| is_api(&path)) {
            let name = format!("{method} {path}");
            let unknown = format!("{path}?nope=1");
            let answer = app.call(method, &unknown, &[JSON], "{}").await;
            assert_eq!(answer.code(), "invalid_parameter", "{name}");
            assert_eq!(answer.json()["errors"][0]["pointer"], "/nope", "{name}");
            let accept = [JSON, ("accept", "image/png")];
            let answer = app.call(method, &path, &accept, "{}").await;
            assert_eq!(answer.code(), "not_acceptable", "{name}");
            if ["POST", "PUT", "PATCH"].contains(&method.as_str()) {
                let kind = [("content-type", "text/plain")];
                let answer = app.call(method, &path, &kind, "{}").await;
                assert_eq!(answer.code(), "unsupported_media_type", "{name}");
            }
        }
    }
    assert_eq!(app.count("orders").await, 1);
}

#[tokio::test]
async fn paths_that_nobody_meant_are_refused() {
    let app = app().await;
    let record = format!("/api/v1/records/orders/{}", id(1));
    for path in [
        "/",
        "//",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1//records/orders",
        "/api/v2/schemas",
        "/API/v1/schemas",
        "/api/v1/schemas/",
        "/api/v1/schemas/%00",
        "/api/v1/schemas/%2e%2e",
        "/api/v1/records/orders%2Fcount",
        "/api/v1/records/orders'",
        "/api/v1/records/%27%3B--",
        "/api/v1/records/orders/../schemas",
        "/docs/../openapi.json",
        &format!("{record}?x=1"),
        &format!("{record}/"),
        &format!("{record}/?/"),
        &format!("{record}??"),
        &format!("{record}/{}", id(1)),
        &format!("{record}%20"),
        &record.replace('-', ""),
        &record.replace("orders", "readings"),
        &record.replace("orders", "Orders"),
        "/api/v1/records/orders/%7B%7D",
        "/api/v1/records/orders/00000000-0000-0000-0000-000000000000",
    ] {
        let answer = app.get(path).await;
        assert!(
            [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND].contains(&answer.status),
            "{path}: {}",
            answer.show()
        );
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}
