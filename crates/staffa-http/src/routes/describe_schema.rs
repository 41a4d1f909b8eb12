//! `GET /schemas/{name}`: one schema.

use axum::extract::State;
use http::StatusCode;

use staffa_app::Queries;
use staffa_codec::document;

use super::Answer;
use crate::from_wire::Call;
use crate::to_wire::json_of;

pub(crate) async fn describe_schema(State(queries): State<Queries>, call: Call) -> Answer {
    call.params(&[])?;
    let view = queries
        .describe_schema(call.context(), &call.schema)
        .await?;
    json_of(
        StatusCode::OK,
        &document::describe(&view.schema, Some(view.record_count)),
    )
}
