//! `GET /schemas/{name}/versions`: every version of a schema, and how it came about.

use axum::extract::State;
use http::StatusCode;

use staffa_app::Queries;

use super::Answer;
use crate::from_wire::Call;
use crate::to_wire::{json_of, schema};

pub(crate) async fn list_versions(State(queries): State<Queries>, call: Call) -> Answer {
    call.params(&[])?;
    let views = queries.list_versions(call.context(), &call.schema).await?;
    let versions: Vec<_> = views.iter().map(schema::version).collect();
    json_of(StatusCode::OK, &versions)
}
