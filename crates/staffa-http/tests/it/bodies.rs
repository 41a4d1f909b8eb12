//! Bodies made to harm: bombs, lies about their length, ends that never come. Nothing of a
//! body that is refused is stored.

use std::io::Write;

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use http::StatusCode;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::RecvError;

use staffa_http::ServeOptions;

use crate::app::{Answer, App};
use crate::socket::Server;

const BULK: &str = "/api/v1/records/orders/bulk";
const NDJSON: &str = "application/x-ndjson";

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(plain).unwrap();
    packer.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 1).unwrap()
}

fn line(n: usize) -> String {
    format!("{{\"reference\":\"r{n}\"}}\n")
}

async fn send(app: &App, (kind, coding): (&str, &str), body: impl Into<Body>) -> Answer {
    let headers = [("content-type", kind), ("content-encoding", coding)];
    app.call("POST", BULK, &headers, body).await
}

#[track_caller]
fn check(answer: &Answer, status: StatusCode, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.show());
    assert_eq!(answer.code(), code, "{}", answer.show());
}

fn check_too_large(answer: &Answer) {
    check(answer, StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large");
    assert_eq!(answer.header("connection"), "close");
}

/// The most memory that this process ever had, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn a_bomb_is_refused_where_its_content_passes_the_limit() {
    let app = App::with(|state| state.settings.bulk_body_bytes_max = Some(1 << 20)).await;
    let lines = "{\"reference\":\"a\"}\n".repeat(100_000);
    for bomb in [gzip(lines.as_bytes()), gzip(&vec![b'\n'; 8 << 20])] {
        assert!(bomb.len() < 1 << 20, "it would be refused as sent");
        check_too_large(&send(&app, (NDJSON, "gzip"), bomb).await);
    }
    check_too_large(&send(&app, (NDJSON, "zstd"), zstd(lines.as_bytes())).await);
    let csv = format!("reference\n{}", "a\n".repeat(1 << 20));
    check_too_large(&send(&app, ("text/csv", "zstd"), zstd(csv.as_bytes())).await);
    assert_eq!(app.count("orders").await, 0);
    // The limit is one on bytes, not on packing.
    let good = send(&app, (NDJSON, "gzip"), gzip(b"{\"reference\":\"a\"}\n")).await;
    assert_eq!(good.status, StatusCode::CREATED, "{}", good.show());
}

#[tokio::test]
async fn a_bomb_costs_no_memory_where_there_is_no_limit() {
    const PLAIN_BYTES: usize = 256 << 20;
    /// What the other tests of this process may need meanwhile, and one record.
    const SPARE_BYTES: u64 = 128 << 20;
    let app = App::new().await;
    let bomb = zstd(&vec![0; 1 << 20]).repeat(PLAIN_BYTES >> 20);
    let before = peak_memory();
    for kind in [NDJSON, "text/csv"] {
        check_too_large(&send(&app, (kind, "zstd"), bomb.clone()).await);
    }
    let array = send(&app, ("application/json", "zstd"), bomb).await;
    check(&array, StatusCode::BAD_REQUEST, "malformed_json");
    let empty_lines = zstd(&vec![b'\n'; 1 << 20]).repeat(PLAIN_BYTES >> 23);
    let nothing = send(&app, (NDJSON, "zstd"), empty_lines).await;
    assert_eq!(nothing.json()["received"], 0, "{}", nothing.show());
    let grown = peak_memory() - before;
    assert!(grown < SPARE_BYTES, "grew by {grown} bytes");
    assert_eq!(app.count("orders").await, 0);
}

#[tokio::test]
async fn what_is_not_packed_as_it_says_is_refused() {
    let app = App::new().await;
    let line = b"{\"reference\":\"a\"}\n";
    let (packed, dense) = (gzip(line), zstd(line));
    let mut flipped = packed.clone();
    // The checksum stands eight bytes before the end.
    let at = flipped.len() - 8;
    flipped[at] ^= 1;
    let cases: [(&str, Vec<u8>); 10] = [
        ("gzip", line.to_vec()),
        ("gzip", Vec::new()),
        ("gzip", packed[..packed.len() - 1].to_vec()),
        ("gzip", packed[..12].to_vec()),
        ("gzip", [&packed[..], b"more"].concat()),
        ("gzip", flipped),
        ("zstd", line.to_vec()),
        ("zstd", dense[..dense.len() - 1].to_vec()),
        ("zstd", [&dense[..], b"more"].concat()),
        ("zstd", packed.clone()),
    ];
    for (coding, body) in cases {
        let answer = send(&app, (NDJSON, coding), body).await;
        check(&answer, StatusCode::BAD_REQUEST, "malformed_json");
    }
    // Packed twice and said once: the inner layer is no record.
    let nested = send(&app, (NDJSON, "gzip"), gzip(&packed)).await;
    assert!(nested.status.is_client_error(), "{}", nested.show());
    assert_eq!(app.count("orders").await, 0);
    let members = [
        gzip(b"{\"reference\":\"a\"}\n{\"refer"),
        gzip(b"ence\":\"b\"}\n"),
    ]
    .concat();
    let answer = send(&app, (NDJSON, "GZip"), members).await;
    assert_eq!(answer.json()["inserted"], 2, "{}", answer.show());
}

#[tokio::test]
async fn codings_that_are_not_known_or_not_one_are_refused() {
    let app = App::new().await;
    let line = gzip(b"{\"reference\":\"a\"}\n");
    for coding in ["br", "deflate", "gzip, gzip", "gzip, zstd", ""] {
        let answer = send(&app, (NDJSON, coding), line.clone()).await;
        check(
            &answer,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
        );
    }
    let twice = [
        ("content-type", NDJSON),
        ("content-encoding", "gzip"),
        ("content-encoding", "gzip"),
    ];
    let answer = app.call("POST", BULK, &twice, gzip(&line)).await;
    assert_eq!(answer.code(), "unsupported_media_type");
    let kinds = [("content-type", NDJSON), ("content-type", "text/csv")];
    let answer = app.call("POST", BULK, &kinds, "").await;
    check(&answer, StatusCode::BAD_REQUEST, "invalid_parameter");
    assert_eq!(app.count("orders").await, 0);
}

#[tokio::test]
async fn lengths_that_no_body_may_have_are_refused_at_once() {
    let app = App::with(|state| state.settings.bulk_body_bytes_max = Some(1 << 20)).await;
    let server = Server::over(app, ServeOptions::default()).await;
    for path in [
        "/api/v1/records",
        "/api/v1/records/bulk",
        "/api/v1/records/orders",
        "/api/v1/records/orders/query",
        BULK,
    ] {
        // Not a byte of the body is sent, so that only the head can be what is answered.
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
             content-length: 1000000000000000000\r\n\r\n"
        );
        let answer = server.exchange(head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
        assert!(answer.contains("payload_too_large"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_refused_once_it_is_too_long() {
    let app = App::with(|state| {
        state.settings.bulk_body_bytes_max = Some(1 << 20);
        state.settings.json_body_bytes_max = 1 << 20;
    })
    .await;
    let endless = || {
        let piece = std::iter::repeat_with(|| Ok::<_, std::io::Error>("{\"reference\":\"a\"}\n"));
        Body::from_stream(stream::iter(piece))
    };
    let headers = [("content-type", NDJSON)];
    check_too_large(&app.call("POST", BULK, &headers, endless()).await);
    let headers = [("content-type", "application/json")];
    let path = "/api/v1/records/orders";
    check_too_large(&app.call("POST", path, &headers, endless()).await);
    assert_eq!(app.count("orders").await, 0);
}

#[tokio::test]
async fn bodies_share_the_memory_that_there_is_for_them() {
    let app = App::with(|state| state.settings.bodies_bytes_max = 100_000).await;
    let path = "/api/v1/records/orders";
    // One that is still coming in holds what came of it.
    let (rest, rest_comes) = oneshot::channel::<&'static [u8]>();
    let begin = stream::iter([Ok::<_, RecvError>(Bytes::from(" ".repeat(60_000)))]);
    let end = stream::once(async { rest_comes.await.map(Bytes::from_static) });
    let body = Body::from_stream(begin.chain(end));
    let kind = [("content-type", "application/json")];
    let first = app.call("POST", path, &kind, body);
    let second = async {
        let order = format!("{{\"reference\":\"a\"}}{}", " ".repeat(60_000));
        for path in [path, "/api/v1/records/bulk"] {
            let refused = app.post(path, order.clone()).await;
            check(&refused, StatusCode::SERVICE_UNAVAILABLE, "overloaded");
            assert_eq!(refused.header("retry-after"), "1");
        }
        // A body that is worked on as it comes holds next to nothing.
        let lines = "{\"reference\":\"b\"}\n".to_owned() + &"\n".repeat(200_000);
        let kind = [("content-type", NDJSON)];
        let stored = app.call("POST", BULK, &kind, lines).await;
        assert_eq!(stored.status, StatusCode::CREATED, "{}", stored.show());
        rest.send(&b"{\"reference\":\"c\"}"[..]).unwrap();
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.show());
    // All of it is free again.
    let order = format!("{{\"reference\":\"d\"}}{}", " ".repeat(90_000));
    assert_eq!(app.post(path, order).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_body_needs_a_length_or_chunks() {
    let server = Server::start(ServeOptions::default()).await;
    let ask = "POST /api/v1/records/orders/bulk HTTP/1.1\r\nhost: a\r\n\
               content-type: application/x-ndjson\r\nconnection: close\r\n";
    let neither = server.exchange(format!("{ask}\r\n").as_bytes()).await;
    assert!(neither.starts_with("HTTP/1.1 411"), "{neither}");
    assert!(neither.contains("length_required"), "{neither}");
    for told in [
        "content-length: 0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let answer = server.exchange(format!("{ask}{told}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 201"), "{told:?}: {answer}");
    }
}

#[tokio::test]
async fn an_upload_that_is_cut_leaves_nothing() {
    let app = App::new().await;
    let lines: String = (0..20_000).map(line).collect();
    let headers = [("content-type", NDJSON)];
    for query in ["", "?on_error=continue"] {
        // More than one batch comes, so that a session is open when the client leaves.
        let cut = [Ok(lines.clone()), Err(std::io::Error::other("gone"))];
        let body = Body::from_stream(stream::iter(cut));
        let answer = app
            .call("POST", &format!("{BULK}{query}"), &headers, body)
            .await;
        check(&answer, StatusCode::BAD_REQUEST, "malformed_json");
        assert_eq!(app.count("orders").await, 0, "{query}");
    }
}

#[tokio::test]
async fn the_last_of_many_lines_undoes_all_others() {
    const LINES: usize = 20_000;
    let app = App::new().await;
    let mut lines: String = (1..LINES).map(line).collect();
    lines.push_str("{\"reference\":\"last\",\"quantity\":\"many\"}\n");
    let headers = [("content-type", NDJSON)];
    let answer = app.call("POST", BULK, &headers, lines).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let report = answer.json();
    assert_eq!(report["errors"][0]["line"], LINES);
    assert_eq!(report["errors"][0]["index"], LINES - 1);
    assert_eq!(report["errors"][0]["pointer"], "/quantity");
    assert_eq!(
        (&report["failed"], &report["inserted"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(app.count("orders").await, 0);
}
