//! `POST /transactions`: a list of operations across schemas, all or none.

use axum::extract::State;

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::{Call, JsonBody};
use crate::to_wire::transaction;

pub(crate) async fn run_transaction(
    State(commands): State<Commands>,
    call: Call,
    JsonBody(body): JsonBody,
) -> Answer {
    call.params(&[])?;
    let results = commands.run_transaction(call.context(), &body).await?;
    Ok(transaction::results(&call.exchange, results))
}
