//! `GET /schemas`: every schema.

use axum::extract::State;
use http::StatusCode;
use serde_json::Value as Json;

use staffa_app::Queries;
use staffa_codec::document;

use super::Answer;
use crate::from_wire::Call;
use crate::to_wire::json_of;

pub(crate) async fn list_schemas(State(queries): State<Queries>, call: Call) -> Answer {
    call.params(&[])?;
    let views = queries.list_schemas(call.context()).await?;
    let describe =
        |view: &staffa_app::SchemaView| document::describe(&view.schema, Some(view.record_count));
    let schemas: Vec<Json> = views.iter().map(describe).collect();
    json_of(StatusCode::OK, &schemas)
}
