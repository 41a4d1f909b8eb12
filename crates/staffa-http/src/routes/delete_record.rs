//! `DELETE /records/{schema}/{id}`: one record less.

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;

use staffa_app::Commands;

use super::Answer;
use crate::from_wire::RecordCall;
use crate::from_wire::precondition::Insists;

pub(crate) async fn delete_record(
    State(commands): State<Commands>,
    target: RecordCall,
    Insists(on): Insists,
) -> Answer {
    target.call.params(&[])?;
    commands
        .delete_record(target.call.context(), target.target(), &on)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
