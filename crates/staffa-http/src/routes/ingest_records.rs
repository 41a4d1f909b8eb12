//! `POST /records/{schema}/bulk`: a body of any length, in one atomic write.

use axum::extract::{Request, State};

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::{Call, bulk};
use crate::to_wire::report;

pub(crate) async fn ingest_records(
    State(commands): State<Commands>,
    call: Call,
    request: Request,
) -> Answer {
    let asked = bulk::ingest_records(&call, request, commands.limits().body_bytes_max)?;
    let returning = asked.returning;
    let done = commands.ingest_records(call.context(), asked).await?;
    Ok(report::report(&call.exchange, done, returning))
}
