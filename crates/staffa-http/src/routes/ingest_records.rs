//! `POST /records/{schema}/bulk`: a body of any length, in one atomic write; at once, or by a
//! job.

use axum::extract::{Request, State};

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::{Call, bulk, prefer};
use crate::to_wire::{job, report};

pub(crate) async fn ingest_records(
    State(commands): State<Commands>,
    call: Call,
    request: Request,
) -> Answer {
    let is_job = prefer::responds_async(request.headers());
    let held_bytes_max = (!is_job).then_some(commands.limits().body_bytes_max);
    let asked = bulk::ingest_records(&call, request, held_bytes_max)?;
    if is_job {
        return job::accepted(&commands.start_job(call.context(), asked).await?);
    }
    let returning = asked.returning;
    let done = commands.ingest_records(call.context(), asked).await?;
    Ok(report::report(&call.exchange, done, returning))
}
