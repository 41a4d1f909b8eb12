//! What became of a bulk write.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use staffa_app::{IngestReport, JobState, Return, Tally};

use super::{ids, json, push_json};
use crate::exchange::Exchange;
use crate::problem::Cause;

#[derive(Serialize)]
struct Wire {
    success: bool,
    received: u64,
    inserted: u64,
    updated: u64,
    ignored: u64,
    deleted: u64,
    failed: u64,
    errors: Vec<Cause>,
    errors_truncated: bool,
    execution_time_ms: f64,
}

/// 201 where no record failed, 207 where some did, 422 where all did or nothing was stored since
/// one did.
pub(crate) fn report(exchange: &Exchange, report: IngestReport, returning: Return) -> Response {
    let status = match Tally::of(&report).state() {
        JobState::Succeeded => StatusCode::CREATED,
        JobState::Partial => StatusCode::MULTI_STATUS,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let receipt = report.receipt;
    let wire = Wire {
        success: report.failed == 0,
        received: report.received,
        inserted: receipt.inserted,
        updated: receipt.updated,
        ignored: receipt.ignored,
        deleted: receipt.deleted,
        failed: report.failed,
        errors: report.errors.into_iter().map(Cause::from).collect(),
        errors_truncated: report.errors_truncated,
        execution_time_ms: exchange.elapsed_ms(),
    };
    let mut text = Vec::new();
    push_json(&mut text, &wire);
    if returning != Return::Ids {
        return json(status, text);
    }
    // The list goes in before the closing brace.
    text.pop();
    text.extend_from_slice(br#","ids":"#);
    ids::answer(status, text, report.ids, b"}".to_vec())
}
