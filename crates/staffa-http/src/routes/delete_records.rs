//! `DELETE /records/{schema}`: every record that matches less.

use axum::extract::State;

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::precondition::Insists;
use crate::from_wire::{Call, affected};
use crate::to_wire;

pub(crate) async fn delete_records(
    State(commands): State<Commands>,
    call: Call,
    insists: Insists,
) -> Answer {
    let asked = affected::affected(&commands, &call, insists)?;
    let removed = commands.delete_records(call.context(), &asked).await?;
    to_wire::affected::affected(&call.exchange, removed)
}
