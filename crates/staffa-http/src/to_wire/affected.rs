//! How many records a change by filter concerned.

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::json_of;
use crate::exchange::Exchange;
use crate::problem::Problem;

pub(crate) fn affected(exchange: &Exchange, affected: u64) -> Result<Response, Problem> {
    let body = json!({
        "success": true,
        "affected": affected,
        "execution_time_ms": exchange.elapsed_ms(),
    });
    json_of(StatusCode::OK, &body)
}
