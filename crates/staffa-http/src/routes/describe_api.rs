//! `GET /openapi.json`: the description of the API as it is now.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use staffa_app::Queries;

use super::Answer;
use crate::from_wire::Call;
use crate::openapi::OpenApi;
use crate::to_wire::json;

pub(crate) async fn describe_api(
    State(queries): State<Queries>,
    State(openapi): State<Arc<OpenApi>>,
    call: Call,
) -> Answer {
    call.params(&[])?;
    Ok(json(StatusCode::OK, openapi.document(queries.catalog())?))
}
