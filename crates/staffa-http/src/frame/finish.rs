//! The end of an answer: the problem document, the headers that every answer has, and the
//! body that reports when it has left.

use std::fmt::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, ETAG, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use uuid::Uuid;

use staffa_app::Stage;

use super::Permit;
use super::tracked::{Report, TrackedBody};
use crate::exchange::Exchange;
use crate::problem::Problem;
use crate::state::Observer;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const REQUEST_ID_LEN_MAX: usize = 128;

/// What is needed of a request after it is gone.
pub(super) struct Head {
    method: Method,
    uri: Uri,
}

impl Head {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
        }
    }
}

/// The id that the client gave, where it may stand in a log, or a new one.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    let given = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let given = given.filter(|id| {
        (1..=REQUEST_ID_LEN_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
    });
    given.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

/// Completes an answer.
pub(super) fn finish(
    mut response: Response,
    head: Head,
    exchange: Arc<Exchange>,
    (permit, observer): (Permit, Option<Observer>),
) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        problem.render(&mut response, head.uri.path(), exchange.request_id());
        if let Some(fault) = problem.fault() {
            let request_id = exchange.request_id();
            tracing::error!(request_id, fault, "the request failed");
        }
    }
    let headers = response.headers_mut();
    put_common_headers(headers, exchange.request_id());
    if let Ok(timing) = HeaderValue::try_from(server_timing(&exchange)) {
        headers.insert(SERVER_TIMING, timing);
    }
    if head.method == Method::HEAD {
        leave_out_body(&mut response);
    }
    let report = Report {
        status: response.status(),
        method: head.method,
        exchange,
        observer,
        _permit: permit,
    };
    response.map(|body| Body::new(TrackedBody::new(body, report)))
}

/// Says how long the body would be, where that is known, and sends none.
fn leave_out_body(response: &mut Response) {
    let body = std::mem::take(response.body_mut());
    if let Some(len) = http_body::Body::size_hint(&body).exact() {
        let headers = response.headers_mut();
        headers.entry(CONTENT_LENGTH).or_insert_with(|| len.into());
    }
}

/// The headers that every answer has.
pub(crate) fn put_common_headers(headers: &mut HeaderMap, request_id: &str) {
    let cache = match headers.contains_key(ETAG) {
        true => "private, no-cache",
        false => "no-store",
    };
    for (name, value) in [
        (CACHE_CONTROL, cache),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (VARY, "Authorization, Accept, Accept-Encoding, Origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
}

fn server_timing(exchange: &Exchange) -> String {
    let mut text = String::with_capacity(128);
    for (name, duration) in [
        ("decode", exchange.spent(Stage::Decode)),
        ("validate", exchange.spent(Stage::Validate)),
        ("engine", exchange.spent(Stage::Engine)),
        ("encode", exchange.spent(Stage::Encode)),
        ("total", exchange.elapsed()),
    ] {
        let micros = duration.as_micros();
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            "{comma}{name};dur={}.{:03}",
            micros / 1_000,
            micros % 1_000
        );
    }
    text
}
