//! `PUT /records/{schema}/{id}`: other data in place of a record's.

use axum::extract::State;

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::precondition::Insists;
use crate::from_wire::{JsonBody, RecordCall};
use crate::to_wire::record;

pub(crate) async fn replace_record(
    State(commands): State<Commands>,
    target: RecordCall,
    Insists(on): Insists,
    JsonBody(body): JsonBody,
) -> Answer {
    target.call.params(&[])?;
    let ctx = target.call.context();
    let view = commands
        .replace_record(ctx, target.target(), &body, &on)
        .await?;
    record::record(ctx, &view, None)
}
