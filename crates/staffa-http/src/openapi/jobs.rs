//! The operations on jobs, and what a job looks like.

use serde_json::{Value as Json, json};

use super::answers::{answers, empty, of_json, of_type, text_header};
use super::operations::Told;
use super::params;
use super::schemas::reference;
use crate::route_table::Operation;

/// The answer to what is done by a job.
pub(super) fn accepted() -> Json {
    let mut answer = of_json("A job will do it", reference("job"));
    answer["headers"]["Location"] = text_header("Where the job is");
    answer["headers"]["Preference-Applied"] = text_header("respond-async");
    answer
}

/// Describes an operation on one job.
pub(super) fn describe(operation: Operation) -> Told {
    match operation {
        Operation::GetJob => {
            let good = vec![(200, of_json("The job", reference("job")))];
            Told::reading("Read how far a job is", good).with(params::of_job(true))
        }
        Operation::CancelJob => {
            let cancelled = of_json(
                "It was under way: what became of it, cancelled unless it ended first",
                reference("job"),
            );
            let removed = empty("It had ended, and is removed with its errors");
            let good = vec![(200, cancelled), (204, removed)];
            Told::reading("Cancel a job, or remove one that has ended", good)
                .with(params::of_job(false))
        }
        _ => {
            let line = json!({"type": "string", "x-line": line()});
            let lines = of_type("A line for each error", "application/x-ndjson", line);
            let told = Told::reading(
                "Download the records that failed",
                vec![(200, lines.clone())],
            );
            Told {
                answers: answers(vec![(200, lines)], &[409]),
                ..told.with(params::of_job(false))
            }
        }
    }
}

fn line() -> Json {
    json!({
        "type": "object",
        "properties": {
            "index": {"type": "integer", "minimum": 0},
            "line": {"type": "integer", "minimum": 1},
            "pointer": {"type": "string"},
            "code": {"type": "string"},
            "message": {"type": "string"},
            "value": {"description": "The value that is wrong, where there is one"},
            "row": {"description": "The record as it was given; a text where it is no record"},
        },
        "required": ["index", "pointer", "code", "message"],
    })
}

/// A job.
pub(super) fn job() -> Json {
    let count = json!({"type": "integer", "minimum": 0});
    let time = json!({"type": "string", "format": "date-time"});
    let no_time_yet = json!({"type": ["string", "null"], "format": "date-time"});
    let kinds = ["ingest_records", "evolve_schema", "drop_schema"];
    let states = [
        "queued",
        "running",
        "succeeded",
        "partial",
        "failed",
        "cancelled",
        "interrupted",
    ];
    json!({
        "type": "object",
        "description": "A bulk write, or a change of a schema, that ends after its request",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "kind": {"type": "string", "enum": kinds},
            "schema_name": {"type": "string"},
            "state": {"type": "string", "enum": states},
            "created_at": time,
            "updated_at": time,
            "started_at": no_time_yet,
            "finished_at": no_time_yet,
            "bytes": count,
            "bytes_read": count,
            "received": count,
            "inserted": count,
            "updated": count,
            "ignored": count,
            "deleted": count,
            "failed": count,
            "errors_truncated": {"type": "boolean"},
            "schema_version": {"type": ["integer", "null"], "minimum": 1},
            "errors_url": {"type": ["string", "null"]},
            "problem": {
                "type": ["object", "null"],
                "properties": {
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "errors": {"type": "array", "items": {"type": "object"}},
                },
                "required": ["code", "detail"],
            },
        },
        "required": [
            "id", "kind", "schema_name", "state", "created_at", "updated_at", "started_at", "finished_at",
            "bytes", "bytes_read", "received", "inserted", "updated", "ignored", "deleted",
            "failed", "errors_truncated", "schema_version", "errors_url", "problem",
        ],
    })
}
