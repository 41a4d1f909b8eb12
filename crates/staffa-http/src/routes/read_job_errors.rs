//! `GET /jobs/{id}/errors`: the records of a job that failed, and why.

use axum::extract::State;

use staffa_app::Queries;

use super::Answer;
use crate::from_wire::JobCall;
use crate::to_wire;

pub(crate) async fn read_job_errors(
    State(queries): State<Queries>,
    JobCall { call, id }: JobCall,
) -> Answer {
    let lines = queries.read_job_errors(call.context(), id).await?;
    to_wire::job::errors(id, lines)
}
