//! `PUT /schemas/{name}`: a schema made, or brought to its next version; at once, or by a job.

use axum::extract::State;
use http::HeaderMap;

use staffa_app::{Commands, EvolveSchema};

use super::Answer;
use crate::from_wire::precondition::Insists;
use crate::from_wire::{Call, DocumentBody, prefer};
use crate::to_wire::{job, schema};

pub(crate) async fn evolve_schema(
    State(commands): State<Commands>,
    call: Call,
    Insists(on): Insists,
    headers: HeaderMap,
    body: DocumentBody,
) -> Answer {
    let params = call.params(&["dry_run", "allow_destructive"])?;
    let asked = EvolveSchema {
        schema: body.schema_named(&call.schema)?,
        dry_run: params.boolean("dry_run")?.unwrap_or(false),
        allow_destructive: params.boolean("allow_destructive")?.unwrap_or(false),
    };
    let dry_run = asked.dry_run;
    if prefer::responds_async(&headers) && !dry_run {
        return job::accepted(&commands.start_evolution(call.context(), asked, &on).await?);
    }
    let done = commands.evolve_schema(call.context(), asked, &on).await?;
    schema::evolved(&call.schema, &done, dry_run)
}
