//! One handler a route: it reads the request, calls one use case, and writes the answer.

pub(crate) mod aggregate_records;
pub(crate) mod cancel_job;
pub(crate) mod count_records;
pub(crate) mod create_record;
pub(crate) mod create_record_enveloped;
pub(crate) mod create_records;
pub(crate) mod delete_record;
pub(crate) mod delete_records;
pub(crate) mod describe_api;
pub(crate) mod describe_json_schema;
pub(crate) mod describe_schema;
pub(crate) mod describe_version;
pub(crate) mod drop_schema;
pub(crate) mod evolve_schema;
pub(crate) mod get_job;
pub(crate) mod get_record;
pub(crate) mod health;
pub(crate) mod infer_schema;
pub(crate) mod ingest_records;
pub(crate) mod list_records;
pub(crate) mod list_schemas;
pub(crate) mod list_versions;
pub(crate) mod metrics;
pub(crate) mod patch_record;
pub(crate) mod patch_records;
pub(crate) mod query_records;
pub(crate) mod read_job_errors;
pub(crate) mod replace_record;
pub(crate) mod run_transaction;
pub(crate) mod stream_records;

use axum::response::Response;

use staffa_app::Queries;

use crate::problem::{Code, Problem};

/// What handlers answer.
pub(crate) type Answer = Result<Response, Problem>;

/// Does a read, and does it again where the records were laid out anew meanwhile: from its
/// question on, whose fields may lie elsewhere then or not be there any more.
async fn read<W>(queries: &Queries, work: impl FnMut() -> W + Send) -> Answer
where
    W: Future<Output = Answer> + Send,
{
    let is_moved = |problem: &Problem| problem.code() == Code::SCHEMA_MOVED;
    queries.changes().follow(work, is_moved).await
}
