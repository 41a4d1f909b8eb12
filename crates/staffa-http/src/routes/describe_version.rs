//! `GET /schemas/{name}/versions/{version}`: one version of a schema.

use axum::extract::State;
use http::StatusCode;

use staffa_app::Queries;

use super::Answer;
use crate::from_wire::Call;
use crate::to_wire::{json_of, schema};

pub(crate) async fn describe_version(State(queries): State<Queries>, call: Call) -> Answer {
    call.params(&[])?;
    let version = call.version()?;
    let view = queries
        .describe_version(call.context(), &call.schema, version)
        .await?;
    json_of(StatusCode::OK, &schema::version(&view))
}
