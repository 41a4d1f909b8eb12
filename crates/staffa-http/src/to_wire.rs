//! Answers: records, pages, streams, reports and schemas as the contract writes them.

pub(crate) mod affected;
pub(crate) mod created;
pub(crate) mod done;
pub(crate) mod groups;
pub(crate) mod ids;
pub(crate) mod job;
pub(crate) mod page;
pub(crate) mod pieces;
pub(crate) mod proposal;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod stream;
pub(crate) mod transaction;

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::problem::Problem;

/// A JSON answer from its text.
pub(crate) fn json(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A JSON answer from a value that is no record.
pub(crate) fn json_of(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    let text = serde_json::to_vec(value).map_err(Problem::internal)?;
    Ok(json(status, text))
}

/// Appends a value that is no record as JSON.
pub(crate) fn push_json(out: &mut Vec<u8>, value: &impl Serialize) {
    // Texts, numbers and nulls can always be written to memory.
    let _ = serde_json::to_writer(out, value);
}
