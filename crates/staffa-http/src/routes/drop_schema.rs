//! `DELETE /schemas/{name}`: a schema removed with its records; at once, or by a job.

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::{HeaderMap, StatusCode};

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::precondition::Insists;
use crate::from_wire::{Call, prefer};
use crate::problem::Problem;
use crate::to_wire::job;

pub(crate) async fn drop_schema(
    State(commands): State<Commands>,
    call: Call,
    Insists(on): Insists,
    headers: HeaderMap,
) -> Answer {
    let params = call.params(&["confirm"])?;
    if params.get("confirm") != Some(&*call.schema) {
        let message = "confirm must repeat the name of the schema: its records go with it";
        return Err(Problem::parameter("confirm", message));
    }
    let (ctx, name) = (call.context(), &*call.schema);
    if prefer::responds_async(&headers) {
        return job::accepted(&commands.start_drop(ctx, name, &on).await?);
    }
    commands.drop_schema(ctx, name, &on).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
