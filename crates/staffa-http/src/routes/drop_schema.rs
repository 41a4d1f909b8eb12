//! `DELETE /schemas/{name}`: a schema removed with its records.

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::StatusCode;

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::Call;
use crate::from_wire::precondition::Insists;
use crate::problem::Problem;

pub(crate) async fn drop_schema(
    State(commands): State<Commands>,
    call: Call,
    Insists(on): Insists,
) -> Answer {
    let params = call.params(&["confirm"])?;
    if params.get("confirm") != Some(&*call.schema) {
        let message = "confirm must repeat the name of the schema: its records go with it";
        return Err(Problem::parameter("confirm", message));
    }
    commands
        .drop_schema(call.context(), &call.schema, &on)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
