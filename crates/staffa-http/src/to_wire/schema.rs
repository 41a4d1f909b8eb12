//! Schemas, their versions, and plans of change as answers.

use axum::response::Response;
use http::header::{ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use serde_json::{Value as Json, json};

use staffa_app::{EvolvedSchema, VersionView};
use staffa_codec::document::{describe, plan_json, write_schema};
use staffa_domain::SchemaSnapshot;

use super::json_of;
use crate::problem::Problem;

/// What a change did: the schema with the plan that was carried out. Of a dry run, the plan.
pub(crate) fn evolved(
    name: &str,
    done: &EvolvedSchema,
    dry_run: bool,
) -> Result<Response, Problem> {
    let plan = plan_json(&done.plan, done.records.records);
    let now = done.schema.as_deref();
    let version = now.map(SchemaSnapshot::version);
    if dry_run {
        let step = u32::from(!done.plan.is_empty());
        let answer = json!({
            "success": true,
            "schema_name": name,
            "dry_run": true,
            "from_version": version,
            "to_version": version.unwrap_or(0) + step,
            "record_count": done.records.records,
            "record_count_relation": done.records.relation(),
            "plan": plan,
        });
        return json_of(StatusCode::OK, &answer);
    }
    let Some(now) = now else {
        return Err(Problem::internal("a schema that was made is not there"));
    };
    let mut answer = describe(now, Some(done.records));
    answer["plan"] = plan;
    let status = match done.is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let mut response = json_of(status, &answer)?;
    tag(&mut response, now)?;
    if done.is_new {
        let place = HeaderValue::try_from(format!("/api/v1/schemas/{name}"));
        let place = place.map_err(Problem::internal)?;
        response.headers_mut().insert(LOCATION, place);
    }
    Ok(response)
}

/// Adds the entity tag of a schema: its version.
pub(crate) fn tag(response: &mut Response, schema: &SchemaSnapshot) -> Result<(), Problem> {
    let tag = HeaderValue::try_from(format!("\"{}\"", schema.version()));
    let tag = tag.map_err(Problem::internal)?;
    response.headers_mut().insert(ETAG, tag);
    Ok(())
}

/// One version, and how it came about.
pub(crate) fn version(view: &VersionView) -> Json {
    let log = view.change.as_ref();
    let steps: Json = serde_json::from_str(&view.steps).unwrap_or(Json::Null);
    json!({
        "name": view.schema.name(),
        "version": view.schema.version(),
        "created_at": view.created_at.to_string(),
        "steps": steps,
        "record_count": log.map(|log| log.records),
        "duration_ms": log.map(|log| log.duration_micros.div_ceil(1_000)),
        "document": write_schema(view.schema.schema()),
    })
}
