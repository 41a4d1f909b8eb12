//! `DELETE /jobs/{id}`: a job that has not ended is cancelled, one that has is removed.

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::JobCall;
use crate::to_wire;

pub(crate) async fn cancel_job(
    State(commands): State<Commands>,
    JobCall { call, id }: JobCall,
) -> Answer {
    match commands.cancel_job(call.context(), id).await? {
        Some(job) => to_wire::job::job(&job, None),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}
