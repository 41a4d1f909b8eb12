//! `POST /records/bulk`: the records of one envelope, all or none.

use axum::extract::{Request, State};

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::{Call, bulk};
use crate::to_wire::created;

pub(crate) async fn create_records(
    State(commands): State<Commands>,
    call: Call,
    request: Request,
) -> Answer {
    let asked = bulk::create_records(&call, request, commands.limits().body_bytes_max)?;
    let returning = asked.returning;
    let done = commands.create_records(call.context(), asked).await?;
    call.exchange.set_schema(done.schema.name());
    Ok(created::created(&call.exchange, done, returning))
}
