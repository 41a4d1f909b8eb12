//! HTTP/1 as abuse has it: what is malformed is refused and ends the connection, and nothing
//! behind it is ever taken for a request.

use staffa_http::ServeOptions;

use crate::app::App;
use crate::socket::Server;

/// What must never be carried out where it stands in a body or behind a malformed message:
/// it would be seen in the count.
const SMUGGLED: &str = "POST /api/v1/records/orders HTTP/1.1\r\nhost: a\r\n\
                        content-type: application/json\r\ncontent-length: 24\r\n\r\n\
                        {\"reference\":\"smuggled\"}";

/// The statuses that came back, in their order.
fn statuses(answer: &str) -> Vec<&str> {
    let lines = answer.match_indices("HTTP/1.1 ");
    lines.map(|(at, _)| &answer[at + 9..at + 12]).collect()
}

/// An end of a text that can be shown.
fn tail(text: &str) -> String {
    let from = text.len().saturating_sub(120);
    text.get(from..).unwrap_or(text).to_owned()
}

struct Wire {
    server: Server,
    app: App,
}

impl Wire {
    async fn new() -> Self {
        let served = App::new().await;
        let app = App::over(served.storage.clone(), |_| ()).await;
        let server = Server::over(served, ServeOptions::default()).await;
        Self { server, app }
    }

    /// Sends a message with a request behind it: the one is answered with this status, the
    /// connection is over then, and the other was not carried out.
    async fn check(&self, message: &str, status: &str) {
        let bytes = format!("{message}{SMUGGLED}");
        let answer = self.server.exchange(bytes.as_bytes()).await;
        let shown = tail(message);
        assert_eq!(statuses(&answer), [status], "{shown:?}: {answer}");
        assert_eq!(self.app.count("orders").await, 0, "{shown:?}: {answer}");
        // A bulk that is refused for its records is answered by a report.
        if status >= "400" && status != "422" {
            check_problem(&answer, status);
        }
    }
}

/// Whoever refused the message, the answer is a problem document and says how long it is.
#[track_caller]
fn check_problem(answer: &str, status: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    for header in [
        "content-type: application/problem+json".to_owned(),
        format!("content-length: {}", body.len()),
        "connection: close".to_owned(),
        "cache-control: no-store".to_owned(),
    ] {
        assert!(
            head.lines().any(|line| line == header),
            "{header}: {answer}"
        );
    }
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["status"].to_string(), status, "{answer}");
    let id = problem["request_id"].as_str().unwrap();
    assert!(head.contains(&format!("x-request-id: {id}")), "{answer}");
}

/// A bulk write with these headers and this body.
fn post(headers: &str, body: &str) -> String {
    format!(
        "POST /api/v1/records/orders/bulk HTTP/1.1\r\nhost: a\r\n\
         content-type: application/x-ndjson\r\n{headers}\r\n\r\n{body}"
    )
}

fn get(headers: &str) -> String {
    format!("GET /health/live HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n")
}

fn lines(count: usize) -> String {
    let line = |n| format!("x-{n}: 1\r\n");
    (0..count).map(line).collect()
}

#[tokio::test]
async fn a_body_that_ends_in_two_places_ends_the_connection() {
    let wire = Wire::new().await;
    let chunked = "transfer-encoding: chunked";
    for headers in [
        "transfer-encoding: chunked, identity",
        "transfer-encoding: identity, chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: xchunked",
        "transfer-encoding: \x0bchunked",
        "transfer-encoding: \"chunked\"",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked",
        "transfer-encoding : chunked",
        "transfer-encoding\n: chunked",
        "transfer-encoding\t: chunked",
        "content-length: 0\r\ncontent-length: 5",
        "content-length: 5\r\ncontent-length: 0",
        "content-length: 0, 0",
        "content-length: +0",
        "content-length: -1",
        "content-length: 0x5",
        "content-length: 5 5",
        "content-length:",
        "content-length: 99999999999999999999",
    ] {
        wire.check(&post(headers, "0\r\n\r\n"), "400").await;
    }
    // Chunks win over a length (RFC 9112 §6.3), and nothing may follow then.
    for headers in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "transfer-encoding: chunked\r\ncontent-length: 300",
    ] {
        wire.check(&post(headers, "0\r\n\r\n"), "201").await;
    }
    let http_1_0 = "POST /api/v1/records/orders/bulk HTTP/1.0\r\n\
                    transfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    wire.check(http_1_0, "400").await;
    for body in [
        "0\n\n".to_owned(),
        "\r\n0\r\n\r\n".to_owned(),
        "+0\r\n\r\n".to_owned(),
        "-1\r\n\r\n".to_owned(),
        "0x0\r\n\r\n".to_owned(),
        " 0\r\n\r\n".to_owned(),
        "0;a=b\n\r\n\r\n".to_owned(),
        "10000000000000000\r\n\r\n".to_owned(),
        "1\r\naX\r\n0\r\n\r\n".to_owned(),
        "1\r\na\n0\r\n\r\n".to_owned(),
        format!("0;{}\r\n\r\n", "a".repeat(20_000)),
        format!("0\r\nx: {}\r\n\r\n", "a".repeat(20_000)),
        format!("0\r\n{}\r\n", lines(200)),
    ] {
        wire.check(&post(chunked, &body), "400").await;
    }
}

#[tokio::test]
async fn a_malformed_head_ends_the_connection() {
    let wire = Wire::new().await;
    for headers in [
        "x: a\r\n b",
        "x: a\n b",
        " x: a",
        "x : a",
        "x\t: a",
        ": a",
        "x",
        "x: a\0b",
        "x: a\rb",
        "x\u{e9}: a",
        "x(: a",
        "host: b",
        "host: a",
    ] {
        wire.check(&get(headers), "400").await;
    }
    for head in [
        "GET /health/live HTTP/1.1\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nhost: a b\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nhost: u@a\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nhost: a/b\r\n\r\n",
        "GET http://b/health/live HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://a@b/health/live HTTP/1.1\r\nhost: b\r\n\r\n",
        "GET /health/live\r\n\r\n",
        "GET /health/live HTTP/0.9\r\n\r\n",
        "GET /health/live HTTP/2.0\r\nhost: a\r\n\r\n",
        "GET /health/live http/1.1\r\nhost: a\r\n\r\n",
        "GET  /health/live HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /health/live  HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /health live HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET health/live HTTP/1.1\r\nhost: a\r\n\r\n",
        "G@T /health/live HTTP/1.1\r\nhost: a\r\n\r\n",
        "NONSENSE\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "\u{16}\u{3}\u{1}\0\r\n\r\n",
    ] {
        wire.check(head, "400").await;
    }
    wire.check("CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n", "405")
        .await;
}

#[tokio::test]
async fn a_head_that_is_too_large_ends_the_connection() {
    let wire = Wire::new().await;
    let target = |len| format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(len));
    wire.check(&target(9_000), "414").await;
    wire.check(&target(64 << 10), "431").await;
    for headers in [
        format!("x: {}", "a".repeat(33 << 10)),
        format!("x: {}", "a".repeat(1 << 20)),
        format!("{}: x", "a".repeat(33 << 10)),
        format!("{}: x", "a".repeat(70_000)),
        lines(101),
        lines(10_000),
    ] {
        wire.check(&get(&headers), "431").await;
    }
}

#[tokio::test]
async fn an_answer_is_not_lost_to_what_follows_it() {
    let wire = Wire::new().await;
    // The connection is over with the first answer, though more was sent already.
    wire.check(&get("connection: close"), "200").await;
    wire.check(&get("connection: close\r\nconnection: keep-alive"), "200")
        .await;
    let refused = post("connection: close\r\ncontent-length: 5", "aaaaa");
    wire.check(&refused, "422").await;
}

#[tokio::test]
async fn a_body_is_no_request() {
    let wire = Wire::new().await;
    let len = SMUGGLED.len();
    // Nobody reads these bodies, and still they are bodies.
    for head in [
        format!("GET /health/live HTTP/1.1\r\nhost: a\r\ncontent-length: {len}\r\n\r\n"),
        format!("POST /nothing HTTP/1.1\r\nhost: a\r\ncontent-length: {len}\r\n\r\n"),
        format!("OPTIONS /health/live HTTP/1.1\r\nhost: a\r\ncontent-length: {len}\r\n\r\n"),
    ] {
        let bytes = format!("{head}{SMUGGLED}{}", get("connection: close"));
        let answer = wire.server.exchange(bytes.as_bytes()).await;
        let seen = statuses(&answer);
        // The connection may be used on, or be over.
        assert!(
            seen.len() <= 2 && seen[1..].iter().all(|s| *s == "200"),
            "{answer}"
        );
        assert_eq!(wire.app.count("orders").await, 0, "{answer}");
    }
}

#[tokio::test]
async fn what_is_well_formed_is_taken() {
    let wire = Wire::new().await;
    let order = "{\"reference\":\"a\"}\n";
    let close = "connection: close\r\n";
    for (message, status) in [
        (
            post(&format!("{close}transfer-encoding:\tChunked "), "0\r\n\r\n"),
            "201",
        ),
        (
            post(
                &format!("{close}transfer-encoding: chunked"),
                &format!(
                    "{:X};a=\"b\";c\r\n{order}\r\n0\r\nx: y\r\ncontent-length: 9\r\n\r\n",
                    order.len()
                ),
            ),
            "201",
        ),
        (
            post(
                &format!("{close}content-length: 0\r\ncontent-length: 0"),
                "",
            ),
            "201",
        ),
        (
            "GET http://A/health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_owned(),
            "200",
        ),
        (
            "GET /health/live HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n".to_owned(),
            "200",
        ),
        (
            "GET /health/live HTTP/1.1\r\nhost: [::1]:80\r\nconnection: close\r\n\r\n".to_owned(),
            "200",
        ),
        // A lone LF may end a line (RFC 9112 §2.2); in a value it would end it too.
        (
            "GET /health/live HTTP/1.1\nhost: a\nconnection: close\n\n".to_owned(),
            "200",
        ),
        (
            "TRACE /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_owned(),
            "405",
        ),
    ] {
        let answer = wire.server.exchange(message.as_bytes()).await;
        assert_eq!(statuses(&answer), [status], "{message:?}: {answer}");
    }
    assert_eq!(wire.app.count("orders").await, 1);
}

#[tokio::test]
async fn a_thousand_requests_at_once_are_answered_in_order() {
    const COUNT: usize = 1_000;
    let wire = Wire::new().await;
    let mut bytes: String = (1..COUNT)
        .map(|n| get(&format!("x-request-id: r{n}")))
        .collect();
    bytes.push_str(&get("x-request-id: last\r\nconnection: close"));
    let answer = wire.server.exchange(bytes.as_bytes()).await;
    assert_eq!(statuses(&answer), ["200"; COUNT]);
    let ids = answer
        .lines()
        .filter_map(|line| line.strip_prefix("x-request-id: "));
    let expected = (1..COUNT)
        .map(|n| format!("r{n}"))
        .chain(["last".to_owned()]);
    assert!(ids.eq(expected), "not in order");
}
