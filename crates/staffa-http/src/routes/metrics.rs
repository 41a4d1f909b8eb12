//! `GET /metrics` of the admin listener, for Prometheus.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use crate::state::MetricsText;

pub(crate) fn metrics(text: &MetricsText) -> Response {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text(),
    )
        .into_response()
}
