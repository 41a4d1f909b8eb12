//! `GET /schemas/{name}`: one schema.

use axum::extract::State;
use http::StatusCode;

use staffa_app::Queries;
use staffa_codec::document;

use super::Answer;
use crate::from_wire::Call;
use crate::to_wire::{json_of, schema};

pub(crate) async fn describe_schema(State(queries): State<Queries>, call: Call) -> Answer {
    call.params(&[])?;
    let view = queries
        .describe_schema(call.context(), &call.schema)
        .await?;
    let told = document::describe(&view.schema, Some(view.record_count));
    let mut response = json_of(StatusCode::OK, &told)?;
    schema::tag(&mut response, &view.schema)?;
    Ok(response)
}
