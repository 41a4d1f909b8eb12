//! `POST /schemas/infer`: a schema proposed from a sample, which is not kept.

use axum::extract::{Request, State};

use staffa_app::Queries;

use super::Answer;
use crate::from_wire::{Call, sample};
use crate::to_wire::proposal;

pub(crate) async fn infer_schema(
    State(queries): State<Queries>,
    call: Call,
    request: Request,
) -> Answer {
    let form = sample::form(&call)?;
    let asked = sample::infer_schema(&call, request, queries.limits().body_bytes_max)?;
    let proposed = queries.infer_schema(call.context(), asked).await?;
    proposal::answer(&call.exchange, &proposed, form)
}
