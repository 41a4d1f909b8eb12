//! `PATCH /records/{schema}/{id}`: some of a record's data, merged (RFC 7396).

use axum::extract::State;

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::precondition::Insists;
use crate::from_wire::{JsonBody, RecordCall};
use crate::to_wire::record;

pub(crate) async fn patch_record(
    State(commands): State<Commands>,
    target: RecordCall,
    Insists(on): Insists,
    JsonBody(body): JsonBody,
) -> Answer {
    target.call.params(&[])?;
    let ctx = target.call.context();
    let view = commands
        .patch_record(ctx, target.target(), &body, &on)
        .await?;
    record::record(ctx, &view, None)
}
