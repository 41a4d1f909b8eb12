//! What a use case did, as the answer of its route, for answers that are kept.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use staffa_app::Done;

use super::{affected, created, job, record, report, transaction};
use crate::exchange::Exchange;
use crate::problem::Problem;

/// The answer that the route gives to this.
pub(crate) fn done(exchange: &Arc<Exchange>, done: Done<'_>) -> Result<Response, Problem> {
    let ctx = &exchange.context;
    match done {
        Done::Created {
            view,
            enveloped: true,
        } => record::created_enveloped(ctx, view),
        Done::Created { view, .. } => record::created(ctx, view),
        Done::CreatedMany(many, returning) => {
            Ok(created::created(exchange, many.clone(), returning))
        }
        Done::Ingested(did, returning) => Ok(report::report(exchange, did.clone(), returning)),
        Done::Accepted(accepted) => job::accepted(accepted),
        Done::Changed(view) => record::record(ctx, view, None),
        Done::Deleted => Ok(StatusCode::NO_CONTENT.into_response()),
        Done::Affected(count) => affected::affected(exchange, count),
        Done::Steps(steps) => Ok(transaction::results(exchange, steps.to_vec())),
    }
}
