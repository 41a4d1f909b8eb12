//! `POST /records`: one record from an envelope that names its schema.

use axum::extract::State;

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::{Call, JsonBody};
use crate::to_wire::record;

pub(crate) async fn create_record_enveloped(
    State(commands): State<Commands>,
    call: Call,
    JsonBody(body): JsonBody,
) -> Answer {
    call.params(&[])?;
    let view = commands
        .create_record_enveloped(call.context(), &body)
        .await?;
    call.exchange.set_schema(view.schema.name());
    record::created_enveloped(call.context(), &view)
}
