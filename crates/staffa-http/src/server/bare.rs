//! What the HTTP library says by itself to a head that it cannot read: a status and nothing more.
//! It is sent as a problem, as every other error is.

use std::io::Write;

use axum::body::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::frame::{REQUEST_ID, SERVER_TIMING, put_common_headers};
use crate::problem::{Code, PROBLEM_JSON, Problem};

/// What is sent in place of `written`, if that is an answer of the library's own.
pub(super) fn instead_of(written: &[u8]) -> Option<Bytes> {
    let (code, detail) = match written.strip_prefix(b"HTTP/1.1 ")?.get(..3)? {
        b"400" => (
            Code::INVALID_PARAMETER,
            "the head of the request is none of HTTP/1.1",
        ),
        b"414" => (Code::URI_TOO_LONG, "the target of the request is too long"),
        b"431" => (
            Code::HEADERS_TOO_LARGE,
            "the request has too many headers, or too long ones",
        ),
        _ => return None,
    };
    // Every answer of ours has the id of its request.
    let is_ours = written
        .windows(REQUEST_ID.as_str().len())
        .any(|word| word.eq_ignore_ascii_case(REQUEST_ID.as_str().as_bytes()));
    let is_whole = written.ends_with(b"\r\n\r\n");
    (is_whole && !is_ours).then(|| answer(&Problem::new(code, detail)))
}

/// A problem as the last answer of a connection.
fn answer(problem: &Problem) -> Bytes {
    let request_id = Uuid::new_v4().to_string();
    let body = problem.to_json("", &request_id);
    let mut headers = HeaderMap::new();
    put_common_headers(&mut headers, &request_id);
    headers.insert(SERVER_TIMING, HeaderValue::from_static("total;dur=0"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.insert(CONTENT_LENGTH, body.len().into());
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let status = problem.code().status();
    tracing::debug!(request_id, %status, "a request's head could not be read");
    let mut bytes = Vec::with_capacity(1024);
    // Writing to memory cannot fail.
    let _ = write!(bytes, "HTTP/1.1 {status}\r\n");
    for (name, value) in &headers {
        let _ = write!(bytes, "{name}: ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes.into()
}
