//! `GET /schemas/{name}/json-schema`: one schema as JSON Schema 2020-12.

use axum::extract::State;
use http::StatusCode;

use staffa_app::Queries;
use staffa_codec::document;

use super::Answer;
use crate::from_wire::Call;
use crate::to_wire::json_of;

pub(crate) async fn describe_json_schema(State(queries): State<Queries>, call: Call) -> Answer {
    call.params(&[])?;
    let schema = queries.schema(&call.schema)?;
    json_of(StatusCode::OK, &document::json_schema(&schema))
}
