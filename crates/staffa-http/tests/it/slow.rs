//! Clients that take their time, and engines that break off: what a stream looks like then.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tower::ServiceExt;

use staffa_http::ServeOptions;
use staffa_testkit::{FaultyScans, MemoryEngine, ScanFault};

use crate::app::App;
use crate::socket::{Server, in_time, read_answer, read_to_end};

const STREAM: &str = "/api/v1/records/orders/stream";
/// Short enough for a test, and passed only by who stands still.
const SHORT: Duration = Duration::from_millis(50);
/// Never passed within a test.
const LONG: Duration = Duration::from_secs(600);

/// Orders of which a scan gives the first batch and then goes wrong, and how many scans are
/// open.
async fn faulty(
    fault: ScanFault,
    change: impl FnOnce(&mut staffa_http::Settings),
) -> (App, watch::Receiver<usize>) {
    let mut storage = MemoryEngine::open();
    let scans = FaultyScans::new(Arc::clone(&storage.reader), 1, fault);
    let open = scans.open();
    storage.reader = Arc::new(scans);
    let app = App::over(storage, |state| change(&mut state.settings)).await;
    (app.with_orders(3).await, open)
}

async fn all_closed(mut open: watch::Receiver<usize>) {
    in_time(open.wait_for(|count| *count == 0)).await.unwrap();
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n{headers}\r\n")
}

/// Whether a chunked body is complete.
fn is_whole(answer: &str) -> bool {
    answer.contains("\r\n0\r\n")
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_without_its_final_chunk() {
    let (app, open) = faulty(ScanFault::Fails, |_| ()).await;
    let server = Server::over(app, ServeOptions::default()).await;
    for query in ["", "?end_marker=true", "?format=csv"] {
        let ask = get(&format!("{STREAM}{query}"), "te: trailers\r\n");
        let answer = server.exchange(ask.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        // What came before the error is there; nothing says that it is all.
        assert!(answer.contains("A-3"), "{query}: {answer}");
        assert!(!is_whole(&answer), "{query}: {answer}");
        assert!(!answer.contains("$end"), "{query}: {answer}");
        assert!(!answer.contains("x-row-count: 3"), "{query}: {answer}");
        assert!(!answer.contains("complete"), "{query}: {answer}");
    }
    let packed = get(STREAM, "accept-encoding: gzip\r\n");
    let answer = server.exchange(packed.as_bytes()).await;
    assert!(answer.contains("content-encoding: gzip"), "{answer}");
    assert!(!is_whole(&answer), "{answer}");
    all_closed(open).await;
}

/// What HTTP/1.0 gets, and whether the connection ended well.
async fn old(server: &Server, headers: &str) -> (String, bool) {
    let mut client = server.connect().await;
    let ask = format!("GET {STREAM} HTTP/1.0\r\n{headers}\r\n");
    client.write_all(ask.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    let ended = in_time(client.read_to_end(&mut text)).await;
    (String::from_utf8_lossy(&text).into_owned(), ended.is_ok())
}

#[tokio::test]
async fn without_chunks_a_stream_that_breaks_off_resets_its_connection() {
    let (app, open) = faulty(ScanFault::Fails, |_| ()).await;
    let server = Server::over(app, ServeOptions::default()).await;
    for headers in ["", "accept-encoding: gzip\r\n"] {
        let (_, ended_well) = old(&server, headers).await;
        assert!(!ended_well, "{headers:?}");
    }
    all_closed(open).await;
    // One that is cut off by us is no more complete.
    let (app, _) = faulty(ScanFault::Hangs, |_| ()).await;
    let options = ServeOptions {
        drain_timeout: Duration::ZERO,
        ..ServeOptions::default()
    };
    let server = Server::over(app, options).await;
    let mut client = server.connect().await;
    let ask = format!("GET {STREAM} HTTP/1.0\r\n\r\n");
    client.write_all(ask.as_bytes()).await.unwrap();
    assert!(read_answer(&mut client).await.contains("200 OK"));
    server.shutdown.cancel();
    let rest = in_time(client.read_to_end(&mut Vec::new())).await;
    assert!(rest.is_err(), "{rest:?}");
    // A whole one ends as it should.
    let server = Server::start(ServeOptions::default()).await;
    for headers in [
        "",
        "accept-encoding: gzip\r\n",
        "connection: keep-alive\r\n",
    ] {
        let (text, ended_well) = old(&server, headers).await;
        assert!(ended_well, "{headers:?}: {text}");
        assert!(text.contains("200 OK"), "{text}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_reported_as_incomplete() {
    let (app, _) = faulty(ScanFault::Fails, |_| ()).await;
    let answer = app.get(STREAM).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.is_none(), "the body ended well");
    // The decorator leaves other questions alone.
    assert_eq!(app.count("orders").await, 3);
}

/// Whether the server saw each answer leave as a whole.
async fn seen(batches: usize, asks: &[String]) -> Vec<bool> {
    let (told, mut seen) = mpsc::unbounded_channel();
    let mut storage = MemoryEngine::open();
    let reader = Arc::clone(&storage.reader);
    storage.reader = Arc::new(FaultyScans::new(reader, batches, ScanFault::Fails));
    let app = App::over(storage, |state| {
        state.observer = Some(Arc::new(move |summary| {
            if summary.method != "POST" {
                told.send(summary.complete).unwrap();
            }
        }));
    });
    let app = app.await.with_orders(3).await;
    let server = Server::over(app, ServeOptions::default()).await;
    let mut all = Vec::new();
    for ask in asks {
        server.exchange(ask.as_bytes()).await;
        all.push(in_time(seen.recv()).await.unwrap());
    }
    all
}

#[tokio::test]
async fn the_log_knows_whether_an_answer_left_as_a_whole() {
    let page = get("/api/v1/records/orders", "connection: close\r\n");
    let asks = [
        get(STREAM, "connection: close\r\n"),
        get(STREAM, "connection: close, te\r\nte: trailers\r\n"),
        get(STREAM, "connection: close\r\naccept-encoding: gzip\r\n"),
    ];
    assert_eq!(seen(1, &asks).await, [false; 3]);
    assert_eq!(
        seen(usize::MAX, &[&[page][..], &asks].concat()).await,
        [true; 4]
    );
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    // Either bound ends it: that on the connection, or that on the stream.
    for (on_stream, on_connection) in [(LONG, SHORT), (SHORT, LONG)] {
        let (app, open) = faulty(ScanFault::Repeats, |settings| {
            settings.stream_stall_timeout = on_stream;
        })
        .await;
        let options = ServeOptions {
            write_timeout: on_connection,
            ..ServeOptions::default()
        };
        let server = Server::over(app, options).await;
        let mut client = server.connect_narrow().await;
        client.write_all(get(STREAM, "").as_bytes()).await.unwrap();
        assert!(read_answer(&mut client).await.starts_with("HTTP/1.1 200"));
        // The engine's query is freed although the client is still there.
        all_closed(open).await;
        // What was on its way may be read, and is visibly not all.
        let rest = read_to_end(&mut client).await;
        assert!(!is_whole(&rest), "{rest:.200}");
    }
}

#[tokio::test]
async fn a_client_that_comes_back_too_late_learns_of_it() {
    let (app, open) = faulty(ScanFault::Repeats, |settings| {
        settings.stream_stall_timeout = Duration::ZERO;
    })
    .await;
    let request = crate::app::request("GET", STREAM).body(Body::empty());
    let response = app.api.clone().oneshot(request.unwrap()).await.unwrap();
    // By now the stream was given up, and there is still some of it to take.
    all_closed(open).await;
    let body = in_time(response.into_body().collect()).await;
    assert!(body.is_err(), "a part of the stream passes for all of it");
}

#[tokio::test]
async fn a_client_that_takes_a_little_now_and_then_is_not_cut_off() {
    let (app, open) = faulty(ScanFault::Repeats, |settings| {
        settings.stream_stall_timeout = LONG;
    })
    .await;
    let server = Server::over(app, ServeOptions::default()).await;
    let mut client = server.connect_narrow().await;
    client.write_all(get(STREAM, "").as_bytes()).await.unwrap();
    for _ in 0..50 {
        assert_ne!(read_answer(&mut client).await, "");
    }
    assert_eq!(*open.borrow(), 1);
    drop(client);
    all_closed(open).await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_engine() {
    // The engine gives nothing more, so that nothing is written that could fail.
    let (app, open) = faulty(ScanFault::Hangs, |_| ()).await;
    let server = Server::over(app, ServeOptions::default()).await;
    let mut client = server.connect().await;
    client.write_all(get(STREAM, "").as_bytes()).await.unwrap();
    assert!(read_answer(&mut client).await.starts_with("HTTP/1.1 200"));
    assert_eq!(*open.borrow(), 1);
    drop(client);
    all_closed(open).await;
}

#[tokio::test]
async fn a_transfer_ends_some_day() {
    let (app, open) = faulty(ScanFault::Hangs, |settings| {
        settings.transfer_timeout = SHORT;
    })
    .await;
    let stream = app.get(STREAM).await;
    assert_eq!(stream.status, StatusCode::OK);
    assert!(stream.body.is_none(), "the body ended well");
    all_closed(open).await;
    // A body whose end does not come; each of its pieces would still have time.
    let begin = stream::iter([Ok::<_, std::io::Error>("{\"reference\":\"b\"}\n")]);
    let kind = [("content-type", "application/x-ndjson")];
    let path = "/api/v1/records/orders/bulk";
    let body = Body::from_stream(begin.chain(stream::pending()));
    let bulk = app.call("POST", path, &kind, body).await;
    assert_eq!(bulk.code(), "malformed_json");
    assert_eq!(bulk.header("connection"), "close");
    assert_eq!(app.count("orders").await, 3);
}

#[tokio::test]
async fn the_head_of_a_stream_costs_no_scan() {
    let (app, open) = faulty(ScanFault::Hangs, |_| ()).await;
    let head = in_time(app.call("HEAD", STREAM, &[], Body::empty())).await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.text(), "");
    all_closed(open).await;
}

#[tokio::test]
async fn a_page_from_an_engine_that_fails_is_a_problem() {
    let (app, _) = faulty(ScanFault::Fails, |_| ()).await;
    // Three records are one batch, and a page of two asks for one more than it holds.
    let page = app.get("/api/v1/records/orders?size=5").await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(page.code(), "internal");
    assert!(!page.text().contains("made to fail"), "{}", page.text());
}

#[tokio::test]
async fn an_engine_that_hangs_is_a_query_timeout() {
    let (app, open) = faulty(ScanFault::Hangs, |settings| {
        settings.request_timeout = SHORT;
    })
    .await;
    let page = app.get("/api/v1/records/orders").await;
    assert_eq!(page.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(page.code(), "query_timeout");
    all_closed(open).await;
}
