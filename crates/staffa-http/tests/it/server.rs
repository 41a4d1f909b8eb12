//! The accept loop over real sockets.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use staffa_http::ServeOptions;

use crate::socket::{Server, read_answer, read_to_end};

const GET: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let short = Duration::from_millis(50);
    let options = ServeOptions {
        first_byte_timeout: short,
        header_timeout: short,
        ..ServeOptions::default()
    };
    let server = Server::start(options).await;
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    assert_eq!(read_to_end(&mut silent).await, "");
    assert!(!read_to_end(&mut slow).await.contains("200 OK"));
    // The second head of a connection has to be as quick as the first.
    let mut second = server.connect().await;
    second.write_all(GET).await.unwrap();
    assert!(
        read_answer(&mut second)
            .await
            .starts_with("HTTP/1.1 200 OK")
    );
    second.write_all(b"GET /").await.unwrap();
    assert!(!read_to_end(&mut second).await.contains("200 OK"));
}

#[tokio::test]
async fn a_refused_body_does_not_cost_the_answer() {
    let server = Server::start(ServeOptions::default()).await;
    let mut stream = server.connect().await;
    let head = "POST /api/v1/records/orders HTTP/1.1\r\nhost: a\r\n\
                content-type: application/json\r\ncontent-length: 1000000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let _ = stream.write_all(&vec![b' '; 200_000]).await;
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn shutting_down_lets_requests_finish_and_closes_idle_connections() {
    let server = Server::start(ServeOptions::default()).await;
    let mut idle = server.connect().await;
    idle.write_all(GET).await.unwrap();
    assert!(read_answer(&mut idle).await.starts_with("HTTP/1.1 200 OK"));
    let mut busy = server.connect().await;
    let head = "POST /api/v1/records/orders HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\
                content-type: application/json\r\ncontent-length: 17\r\n\r\n";
    busy.write_all(head.as_bytes()).await.unwrap();
    // The handler has begun to wait for the body.
    assert!(read_answer(&mut busy).await.starts_with("HTTP/1.1 100"));
    server.shutdown.cancel();
    assert_eq!(read_to_end(&mut idle).await, "");
    busy.write_all(br#"{"reference":"b"}"#).await.unwrap();
    let answer = read_to_end(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_ever() {
    let options = ServeOptions {
        drain_timeout: Duration::from_millis(50),
        ..ServeOptions::default()
    };
    let server = Server::start(options).await;
    let mut busy = server.connect().await;
    let head = "POST /api/v1/records/orders HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\
                content-type: application/json\r\ncontent-length: 17\r\n\r\n";
    busy.write_all(head.as_bytes()).await.unwrap();
    assert!(read_answer(&mut busy).await.starts_with("HTTP/1.1 100"));
    server.shutdown.cancel();
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_ends_with_its_final_chunk_and_trailers() {
    let server = Server::start(ServeOptions::default()).await;
    let mut stream = server.connect().await;
    let head = "GET /api/v1/records/orders/stream HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\
                connection: te, close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.contains("A-1"), "{answer}");
    let end = answer
        .rsplit("\r\n0\r\n")
        .next()
        .unwrap()
        .to_ascii_lowercase();
    assert!(
        end.contains("x-row-count: 1") && end.contains("x-stream-status: complete"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn an_address_has_a_share_of_the_connections() {
    let options = ServeOptions {
        connections_per_address_max: 2,
        ..ServeOptions::default()
    };
    let server = Server::start(options).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for stream in [&mut first, &mut second] {
        stream.write_all(GET).await.unwrap();
        assert!(read_answer(stream).await.starts_with("HTTP/1.1 200 OK"));
    }
    let mut third = server.connect().await;
    // It may be closed before it asks or after.
    let _ = third.write_all(GET).await;
    assert_eq!(read_to_end(&mut third).await, "");
    first
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(read_to_end(&mut first).await.starts_with("HTTP/1.1 200"));
    // The place is free once the server is done with the connection, a moment after its end.
    loop {
        let mut next = server.connect().await;
        let _ = next.write_all(GET).await;
        if read_answer(&mut next).await.starts_with("HTTP/1.1 200 OK") {
            break;
        }
    }
}
