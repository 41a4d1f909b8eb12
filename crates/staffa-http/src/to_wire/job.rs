//! Jobs: how far they are, and the file of what failed.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

use staffa_app::{ErrorLines, Failure, Job, JobState};
use staffa_domain::{RecordId, Timestamp};

use super::json_of;
use crate::problem::Problem;

const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

#[derive(Serialize)]
struct Wire<'a> {
    id: String,
    kind: &'static str,
    schema_name: &'a str,
    state: &'static str,
    created_at: String,
    updated_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    bytes: u64,
    bytes_read: u64,
    received: u64,
    inserted: u64,
    updated: u64,
    ignored: u64,
    deleted: u64,
    failed: u64,
    errors_truncated: bool,
    /// The version that the schema has by it.
    schema_version: Option<u32>,
    /// Where the failed records are, once they are known.
    errors_url: Option<String>,
    problem: Option<Why<'a>>,
}

#[derive(Serialize)]
struct Why<'a> {
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a RawValue>,
}

impl<'a> From<&'a Failure> for Why<'a> {
    fn from(failure: &'a Failure) -> Self {
        let errors = failure.errors.as_deref();
        Self {
            code: &failure.code,
            detail: &failure.detail,
            errors: errors.and_then(|errors| serde_json::from_str(errors).ok()),
        }
    }
}

fn path(id: RecordId) -> String {
    format!("/api/v1/jobs/{id}")
}

/// 202: it will be done.
pub(crate) fn accepted(job: &Job) -> Result<Response, Problem> {
    let mut response = body(StatusCode::ACCEPTED, job)?;
    let place = HeaderValue::try_from(path(job.id)).map_err(Problem::internal)?;
    let headers = response.headers_mut();
    headers.insert(LOCATION, place);
    headers.insert(APPLIED, HeaderValue::from_static("respond-async"));
    Ok(response)
}

/// A job, and whether it was waited for.
pub(crate) fn job(job: &Job, waited: Option<u64>) -> Result<Response, Problem> {
    let mut response = body(StatusCode::OK, job)?;
    if let Some(seconds) = waited {
        let applied = HeaderValue::try_from(format!("wait={seconds}"));
        let applied = applied.map_err(Problem::internal)?;
        response.headers_mut().insert(APPLIED, applied);
    }
    Ok(response)
}

fn body(status: StatusCode, job: &Job) -> Result<Response, Problem> {
    let tally = &job.tally;
    let time = |at: Timestamp| at.to_string();
    let has_errors = matches!(job.state, JobState::Partial | JobState::Failed) && tally.failed > 0;
    let wire = Wire {
        id: job.id.to_string(),
        kind: job.kind.as_str(),
        schema_name: &job.schema,
        state: job.state.as_str(),
        created_at: time(job.created_at),
        updated_at: time(job.updated_at),
        started_at: job.started_at.map(time),
        finished_at: job.finished_at.map(time),
        bytes: job.bytes,
        bytes_read: job.bytes_read,
        received: tally.received,
        inserted: tally.inserted,
        updated: tally.updated,
        ignored: tally.ignored,
        deleted: tally.deleted,
        failed: tally.failed,
        errors_truncated: tally.errors_truncated,
        schema_version: job.schema_version,
        errors_url: has_errors.then(|| format!("{}/errors", path(job.id))),
        problem: job.failure.as_ref().map(Why::from),
    };
    json_of(status, &wire)
}

/// The lines of what failed, as a file.
pub(crate) fn errors(id: RecordId, lines: ErrorLines) -> Result<Response, Problem> {
    let name = format!("attachment; filename=\"{id}.errors.ndjson\"");
    let name = HeaderValue::try_from(name).map_err(Problem::internal)?;
    let mut response = Response::new(Body::from_stream(lines.pieces));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(lines.bytes));
    headers.insert(CONTENT_DISPOSITION, name);
    Ok(response)
}
