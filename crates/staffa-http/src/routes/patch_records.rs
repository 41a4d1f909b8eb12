//! `PATCH /records/{schema}`: some of the data of every record that matches, merged (RFC 7396).

use axum::extract::State;

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::precondition::Insists;
use crate::from_wire::{Call, JsonBody, affected};
use crate::to_wire;

pub(crate) async fn patch_records(
    State(commands): State<Commands>,
    call: Call,
    insists: Insists,
    JsonBody(body): JsonBody,
) -> Answer {
    let asked = affected::affected(&commands, &call, insists)?;
    let changed = commands
        .patch_records(call.context(), &asked, &body)
        .await?;
    to_wire::affected::affected(&call.exchange, changed)
}
