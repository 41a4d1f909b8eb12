//! `GET /health/live` and `/health/ready`: whether the process runs, and whether it serves.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use serde_json::json;

use staffa_app::Error;
use staffa_domain::StorageError;
use staffa_domain::error::Unavailable;
use staffa_domain::ports::{EngineMonitor, EngineState};

use super::Answer;
use crate::from_wire::Call;
use crate::problem::Problem;
use crate::to_wire::json_of;

/// How long the engine may take to answer the question whether it does.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn check_live(call: Call) -> Answer {
    call.params(&[])?;
    json_of(StatusCode::OK, &json!({"status": "live"}))
}

pub(crate) async fn check_ready(
    State(monitor): State<Arc<dyn EngineMonitor>>,
    call: Call,
) -> Answer {
    call.params(&[])?;
    check(monitor.as_ref()).await.map_err(Problem::from)?;
    json_of(StatusCode::OK, &json!({"status": "ready"}))
}

async fn check(monitor: &dyn EngineMonitor) -> Result<(), Error> {
    let refusal = match monitor.state() {
        EngineState::Ready => None,
        EngineState::Reopening => Some(StorageError::Unavailable(Unavailable::Reopening)),
        EngineState::Closed => Some(StorageError::Unavailable(Unavailable::Draining)),
        EngineState::Full => Some(StorageError::StorageFull),
    };
    if let Some(refusal) = refusal {
        return Err(refusal.into());
    }
    match tokio::time::timeout(PROBE_TIMEOUT, monitor.probe()).await {
        Ok(answer) => answer.map_err(Error::from),
        Err(_) => Err(StorageError::Unavailable(Unavailable::Overloaded).into()),
    }
}
