//! A proposed schema.

use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use staffa_codec::document::{proposal_json, proposal_yaml};
use staffa_domain::infer::Proposal;

use super::json_of;
use crate::exchange::Exchange;
use crate::from_wire::sample::JSON;
use crate::problem::Problem;

/// The proposal with its remarks: members of JSON, or comments of YAML.
pub(crate) fn answer(
    exchange: &Exchange,
    proposal: &Proposal,
    form: &'static str,
) -> Result<Response, Problem> {
    if form != JSON {
        let mut response = Response::new(proposal_yaml(proposal).into());
        let kind = HeaderValue::from_static(form);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        return Ok(response);
    }
    let mut answer = json!({"success": true});
    if let (Some(all), Some(told)) = (
        answer.as_object_mut(),
        proposal_json(proposal).as_object_mut(),
    ) {
        all.append(told);
    }
    answer["execution_time_ms"] = exchange.elapsed_ms().into();
    json_of(StatusCode::OK, &answer)
}
