//! HTTP/2: its limits as a client sees them, and frames that only abuse sends.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use staffa_http::ServeOptions;
use staffa_testkit::{FaultyScans, MemoryEngine, ScanFault};

use crate::app::App;
use crate::socket::{Server, in_time, read_to_end};

const STREAM: &str = "/api/v1/records/orders/stream";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SHORT: Duration = Duration::from_millis(50);

mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const CONTINUATION: u8 = 9;
}

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = len[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// A header as HPACK writes it when it compresses nothing (RFC 7541 §6.2.2).
fn header(name: &str, value: &str) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        out.push(
            u8::try_from(text.len())
                .ok()
                .filter(|len| *len < 127)
                .unwrap(),
        );
        out.extend(text.as_bytes());
    }
    out
}

fn head(method: &str, path: &str) -> Vec<u8> {
    let headers = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", path),
    ];
    headers.map(|(name, value)| header(name, value)).concat()
}

/// A connection on which frames are written by hand.
struct Raw(TcpStream);

impl Raw {
    async fn open(server: &Server) -> Self {
        let mut stream = server.connect().await;
        stream.write_all(PREFACE).await.unwrap();
        let mut raw = Self(stream);
        raw.send(&frame(kind::SETTINGS, 0, 0, &[])).await;
        raw
    }

    /// What the server does not take any more is of no interest.
    async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// The next frame: kind, flags, stream, payload; none once the connection is over.
    async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        in_time(self.0.read_exact(&mut head)).await.ok()?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; len as usize];
        in_time(self.0.read_exact(&mut payload)).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some((head[3], head[4], stream, payload))
    }

    /// Reads until the server says why it ends the connection.
    async fn goodbye(&mut self) -> u32 {
        while let Some((kind, _, _, payload)) = self.next().await {
            if kind == kind::GOAWAY {
                return u32::from_be_bytes(payload[4..8].try_into().unwrap());
            }
        }
        panic!("the connection ended without a word");
    }
}

type Client = SendRequest<Body>;

async fn client(server: &Server, change: impl FnOnce(&mut Builder<TokioExecutor>)) -> Client {
    let mut builder = Builder::new(TokioExecutor::new());
    change(&mut builder);
    let io = TokioIo::new(server.connect().await);
    let (client, connection) = builder.handshake(io).await.unwrap();
    tokio::spawn(connection);
    client
}

fn get(path: &str) -> http::request::Builder {
    Request::get(format!("http://a{path}")).version(Version::HTTP_2)
}

async fn ask(client: &mut Client, request: http::request::Builder) -> (StatusCode, String) {
    let request = request.body(Body::empty()).unwrap();
    let response = in_time(client.send_request(request)).await.unwrap();
    let status = response.status();
    let body = in_time(response.into_body().collect()).await.unwrap();
    (
        status,
        String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    )
}

/// Other clients are served as ever.
async fn check_unharmed(server: &Server) {
    let mut other = client(server, |_| ()).await;
    let (status, _) = ask(&mut other, get("/api/v1/records/orders")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn heads_that_are_too_large_are_problems() {
    let server = Server::start(ServeOptions::default()).await;
    let mut client = client(&server, |_| ()).await;
    let long = format!("{STREAM}?filters={}", "a".repeat(9_000));
    let (status, body) = ask(&mut client, get(&long)).await;
    assert_eq!(status, StatusCode::URI_TOO_LONG);
    assert!(body.contains("uri_too_long"), "{body}");
    let large = get(STREAM).header("x", "a".repeat(40 << 10));
    let many = (0..101).fold(get(STREAM), |head, n| head.header(format!("x-{n}"), ""));
    for head in [large, many] {
        let (status, body) = ask(&mut client, head).await;
        assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        assert!(body.contains("headers_too_large"), "{body}");
    }
    // Beyond what is read at all the protocol answers, without a body.
    let huge = get(STREAM).header("x", "a".repeat(70 << 10));
    let (status, _) = ask(&mut client, huge).await;
    assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let (status, _) = ask(&mut client, get("/health/live")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_head_says_one_thing() {
    let server = Server::start(ServeOptions::default()).await;
    let mut client = client(&server, |_| ()).await;
    let (status, body) = ask(&mut client, get("/health/live").header("host", "b")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("invalid_parameter"), "{body}");
    let (status, _) = ask(&mut client, get("/health/live").header("host", "A")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_head_without_a_body_has_none() {
    let server = Server::start(ServeOptions::default()).await;
    let mut client = client(&server, |_| ()).await;
    for (path, expected) in [
        ("/health/live", StatusCode::OK),
        ("/no", StatusCode::NOT_FOUND),
    ] {
        let request = get(path).method("HEAD");
        let (status, body) = ask(&mut client, request).await;
        assert_eq!((status, body.as_str()), (expected, ""), "{path}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_reset() {
    let mut storage = MemoryEngine::open();
    let reader = Arc::clone(&storage.reader);
    storage.reader = Arc::new(FaultyScans::new(reader, 1, ScanFault::Fails));
    let app = App::over(storage, |_| ()).await.with_orders(2).await;
    let server = Server::over(app, ServeOptions::default()).await;
    let mut client = client(&server, |_| ()).await;
    let request = get(STREAM).body(Body::empty()).unwrap();
    let response = in_time(client.send_request(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(in_time(response.into_body().collect()).await.is_err());
    let (status, _) = ask(&mut client, get("/health/live")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_takes_nothing_loses_that_answer_alone() {
    let mut storage = MemoryEngine::open();
    let scans = FaultyScans::new(Arc::clone(&storage.reader), 1, ScanFault::Repeats);
    let mut open = scans.open();
    storage.reader = Arc::new(scans);
    let app = App::over(storage, |_| ()).await.with_orders(3).await;
    let options = ServeOptions {
        write_timeout: SHORT,
        ..ServeOptions::default()
    };
    let server = Server::over(app, options).await;
    let mut client = client(&server, |builder| {
        builder.initial_stream_window_size(1 << 10);
    })
    .await;
    let request = get(STREAM).body(Body::empty()).unwrap();
    let stalled = in_time(client.send_request(request)).await.unwrap();
    in_time(open.wait_for(|count| *count == 0)).await.unwrap();
    let (status, _) = ask(&mut client, get("/health/live")).await;
    assert_eq!(status, StatusCode::OK);
    // The client learns that it did not get all.
    assert!(in_time(stalled.into_body().collect()).await.is_err());
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let app = App::new().await;
    let text = "a".repeat(200 << 10);
    let body = format!(r#"{{"reference":"{text}"}}"#);
    let created = app.post("/api/v1/records/orders", body).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let options = ServeOptions {
        write_timeout: SHORT,
        ..ServeOptions::default()
    };
    let server = Server::over(app, options).await;
    let mut raw = Raw::open(&server).await;
    let head = head("GET", "/api/v1/records/orders");
    let ask = frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &head);
    raw.send(&ask).await;
    // No window is ever opened again, so the rest of the page stays with the server.
    loop {
        let (kind, _, stream, payload) = raw.next().await.unwrap();
        if kind == kind::RST_STREAM {
            assert_eq!((stream, &payload[..]), (1, &CANCEL.to_be_bytes()[..]));
            break;
        }
    }
    check_unharmed(&server).await;
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused() {
    let options = ServeOptions {
        streams_max: 2,
        ..ServeOptions::default()
    };
    let server = Server::start(options).await;
    let mut raw = Raw::open(&server).await;
    let mut head = head("POST", "/api/v1/records/orders");
    head.extend(header("content-type", "application/json"));
    for stream in [1, 3, 5] {
        raw.send(&frame(kind::HEADERS, END_HEADERS, stream, &head))
            .await;
    }
    loop {
        let (kind, _, stream, payload) = raw.next().await.unwrap();
        if kind == kind::RST_STREAM {
            assert_eq!(
                (stream, &payload[..]),
                (5, &REFUSED_STREAM.to_be_bytes()[..])
            );
            break;
        }
    }
    // The two go on.
    let body = br#"{"reference":"b"}"#;
    raw.send(&frame(kind::DATA, END_STREAM, 1, body)).await;
    while raw.next().await.unwrap().2 != 1 {}
    check_unharmed(&server).await;
}

#[tokio::test]
async fn floods_are_told_to_calm_down() {
    let server = Server::start(ServeOptions::default()).await;
    let block = head("POST", "/api/v1/records/orders/bulk");
    let open = |stream| frame(kind::HEADERS, END_HEADERS, stream, &block);
    let resets: Vec<u8> = (0..200)
        .flat_map(|n| {
            let stream = 2 * n + 1;
            let reset = frame(kind::RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
            [open(stream), reset].concat()
        })
        .collect();
    let mut continued = frame(kind::HEADERS, 0, 1, &block);
    let piece = frame(kind::CONTINUATION, 0, 1, &header("x", "a"));
    continued.extend(piece.repeat(1_000));
    let mut empty = open(1);
    empty.extend(frame(kind::DATA, 0, 1, &[]).repeat(100_000));
    for (name, flood) in [
        ("rapid reset", resets),
        ("continuation", continued),
        ("empty data", empty),
    ] {
        let mut raw = Raw::open(&server).await;
        raw.send(&flood).await;
        assert_eq!(raw.goodbye().await, ENHANCE_YOUR_CALM, "{name}");
        check_unharmed(&server).await;
    }
}

#[tokio::test]
async fn pings_and_settings_cost_one_answer_each() {
    const COUNT: usize = 10_000;
    let server = Server::start(ServeOptions::default()).await;
    for (sent, payload) in [(kind::PING, &[0; 8][..]), (kind::SETTINGS, &[][..])] {
        let mut raw = Raw::open(&server).await;
        let flood = frame(sent, 0, 0, payload).repeat(COUNT);
        let (input, mut output) = raw.0.into_split();
        let sending = tokio::spawn(async move {
            output.write_all(&flood).await.unwrap();
            output
        });
        raw.0 = input.reunite(sending.await.unwrap()).unwrap();
        let mut answered = 0;
        while answered < COUNT {
            let (kind, flags, _, _) = raw.next().await.unwrap();
            answered += usize::from(kind == sent && flags == ACK);
        }
        check_unharmed(&server).await;
    }
}

#[tokio::test]
async fn a_preface_that_stops_is_cut_off() {
    let options = ServeOptions {
        header_timeout: SHORT,
        ..ServeOptions::default()
    };
    let server = Server::start(options).await;
    for len in [1, 3, 4, PREFACE.len() - 1] {
        let mut stream = server.connect().await;
        stream.write_all(&PREFACE[..len]).await.unwrap();
        read_to_end(&mut stream).await;
    }
}

#[tokio::test]
async fn a_preface_may_come_in_pieces() {
    let server = Server::start(ServeOptions::default()).await;
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in PREFACE {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut raw = Raw(stream);
    raw.send(&frame(kind::SETTINGS, 0, 0, &[])).await;
    let head = head("GET", "/health/live");
    let ask = frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &head);
    raw.send(&ask).await;
    while raw.next().await.unwrap().0 != kind::HEADERS {}
}

#[tokio::test]
async fn a_connection_without_requests_is_ended() {
    let options = ServeOptions {
        idle_timeout: SHORT,
        ..ServeOptions::default()
    };
    let server = Server::start(options).await;
    // It is told so, and left when it does not hang up.
    let mut raw = Raw::open(&server).await;
    assert_eq!(raw.goodbye().await, 0);
    while raw.next().await.is_some() {}
    // The same on HTTP/1.
    let mut stream = server.connect().await;
    let ask = b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    assert!(
        read_to_end(&mut stream)
            .await
            .starts_with("HTTP/1.1 200 OK")
    );
}
