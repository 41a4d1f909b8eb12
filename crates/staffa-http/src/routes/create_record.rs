//! `POST /records/{schema}`: one record from its data.

use axum::extract::State;

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::{Call, JsonBody};
use crate::to_wire::record;

pub(crate) async fn create_record(
    State(commands): State<Commands>,
    call: Call,
    JsonBody(body): JsonBody,
) -> Answer {
    call.params(&[])?;
    let view = commands
        .create_record(call.context(), &call.schema, &body)
        .await?;
    record::created(call.context(), &view)
}
