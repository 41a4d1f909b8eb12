//! `GET /jobs/{id}`: how far a job is.

use axum::extract::State;
use http::HeaderMap;

use staffa_app::Queries;

use super::Answer;
use crate::from_wire::{JobCall, prefer};
use crate::to_wire;

pub(crate) async fn get_job(
    State(queries): State<Queries>,
    JobCall { call, id }: JobCall,
    headers: HeaderMap,
) -> Answer {
    // The answer has to leave within the time that a request may take.
    let longest = call.exchange.settings.request_timeout / 2;
    let wait = prefer::wait(&headers).map(|wait| wait.min(longest));
    let found = queries.get_job(call.context(), id, wait.unwrap_or_default());
    to_wire::job::job(&found.await?, wait.map(|wait| wait.as_secs()))
}
