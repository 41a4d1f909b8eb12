//! Accepts a change of a schema that ends after its request.

use std::sync::Arc;

use staffa_codec::document;
use staffa_domain::StorageError;
use staffa_domain::ports::SchemaChange;

use crate::catalog::Catalog;
use crate::commands::evolve_schema::check;
use crate::commands::{Commands, EvolveSchema, Precondition};
use crate::context::Context;
use crate::error::Error;
use crate::jobs::{ChangeRequest, Job, JobRequest};

impl Commands {
    /// Accepts the making of a schema or of its next version, and answers once that is durable.
    /// What can be known to be wrong before a record is looked at is refused. The job makes this
    /// version of the one that is there now, and fails where another change comes first.
    pub async fn start_evolution(
        &self,
        ctx: &Context,
        asked: EvolveSchema,
        on: &Precondition,
    ) -> Result<Job, Error> {
        let name = asked.schema.name.as_str();
        let current = self.catalog.get(name).ok();
        check(on, name, current.as_deref())?;
        let from = current.as_ref();
        let (_, change) = Catalog::prepare(&asked.schema, from, asked.allow_destructive)?;
        let request = match (&change, from) {
            (Some(change), _) => ChangeRequest::of(change),
            // Nothing is to be done, and the job says so.
            (None, Some(now)) => ChangeRequest::making(now, document::write_stored(now)),
            (None, None) => return Err(StorageError::internal("nothing makes no schema").into()),
        };
        self.start_change(ctx, request, change).await
    }

    /// Accepts the removal of a schema with its records.
    pub async fn start_drop(
        &self,
        ctx: &Context,
        name: &str,
        on: &Precondition,
    ) -> Result<Job, Error> {
        let from = self.catalog.get(name)?;
        check(on, name, Some(&from))?;
        let change = SchemaChange::Drop {
            from: Arc::clone(&from),
        };
        self.start_change(ctx, ChangeRequest::of(&change), Some(change))
            .await
    }

    async fn start_change(
        &self,
        ctx: &Context,
        request: ChangeRequest,
        change: Option<SchemaChange>,
    ) -> Result<Job, Error> {
        let place = self.place_job().await?;
        self.accept_job(ctx, place, (JobRequest::Change(request), change))
            .await
    }
}
