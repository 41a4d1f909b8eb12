//! Answers however they are cut into pieces.

use super::AnswerReader;

/// Reads an answer cut into pieces of `size` bytes.
#[track_caller]
fn read(answer: &[u8], size: usize) -> (AnswerReader, Vec<u8>) {
    let mut reader = AnswerReader::new();
    let mut body = Vec::new();
    for piece in answer.chunks(size) {
        let taken = reader
            .feed(piece, &mut |bytes| body.extend_from_slice(bytes))
            .unwrap();
        assert_eq!(taken, piece.len());
    }
    (reader, body)
}

#[track_caller]
fn check(answer: &str, status: u16, expected: &str) {
    for size in 1..=answer.len() {
        let (reader, body) = read(answer.as_bytes(), size);
        assert!(reader.is_done(), "in pieces of {size}");
        assert_eq!(reader.status(), status);
        assert_eq!(body, expected.as_bytes());
        assert_eq!(reader.body_bytes(), expected.len() as u64);
    }
}

#[test]
fn bodies_of_a_known_length() {
    check(
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        200,
        "hello",
    );
    check(
        "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nETag: \"1\"\r\n\r\n",
        201,
        "",
    );
    check("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
    check(
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",
        304,
        "",
    );
}

#[test]
fn chunked_bodies_with_trailers_and_extensions() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    check(
        &format!("{head}5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n"),
        200,
        "hello!",
    );
    check(
        &format!("{head}A\r\n0123456789\r\n0\r\nX-Row-Count: 3\r\n\r\n"),
        200,
        "0123456789",
    );
}

#[test]
fn an_interim_answer_is_passed_over() {
    check(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
        200,
        "a",
    );
}

#[test]
fn the_next_answer_is_left_alone() {
    let one = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na";
    let two = [one.as_slice(), one.as_slice()].concat();
    let mut reader = AnswerReader::new();
    assert_eq!(reader.feed(&two, &mut |_| ()), Ok(one.len()));
    reader.restart();
    assert!(!reader.is_done());
    assert_eq!(reader.feed(&two[one.len()..], &mut |_| ()), Ok(one.len()));
    assert!(reader.is_done());
}

#[test]
fn a_cut_body_is_not_done() {
    let (reader, _) = read(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        9,
    );
    assert!(!reader.is_done());
    assert_eq!(reader.body_bytes(), 5);
}

#[test]
fn what_is_not_http_is_refused() {
    let refused = [
        "SMTP ready\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
    ];
    for answer in refused {
        let mut reader = AnswerReader::new();
        assert!(
            reader.feed(answer.as_bytes(), &mut |_| ()).is_err(),
            "{answer}"
        );
    }
    let (reader, _) = read(
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        99,
    );
    assert!(reader.closes());
}
