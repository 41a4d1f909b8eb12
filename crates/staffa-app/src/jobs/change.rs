//! Jobs that change a schema: what is kept of them, how one is run, and how a process that comes
//! later finds out what became of it.

use serde::{Deserialize, Serialize};
use staffa_domain::ports::SchemaChange;
use staffa_domain::{SchemaSnapshot, StorageError};

use super::{End, Head, JobKind, JobState, Live, Tally};
use crate::commands::Commands;
use crate::error::Error;

/// A change that was asked for, by what is stored once it is done. How to do it is known to the
/// process that accepted it alone: another one could not tell for whom it would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeRequest {
    schema: String,
    /// The version and its stored document; none where the schema goes.
    made: Option<(u32, String)>,
}

impl ChangeRequest {
    /// What is stored once this is done.
    pub(crate) fn of(change: &SchemaChange) -> Self {
        match change {
            SchemaChange::Create { to, document }
            | SchemaChange::Describe { to, document, .. }
            | SchemaChange::Evolve { to, document, .. } => Self::making(to, document.clone()),
            SchemaChange::Drop { from } => Self {
                schema: from.name().to_owned(),
                made: None,
            },
        }
    }

    /// A version is stored once this is done.
    pub(crate) fn making(to: &SchemaSnapshot, document: String) -> Self {
        Self {
            schema: to.name().to_owned(),
            made: Some((to.version(), document)),
        }
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    pub(super) const fn kind(&self) -> JobKind {
        match self.made {
            Some(_) => JobKind::EvolveSchema,
            None => JobKind::DropSchema,
        }
    }

    fn version(&self) -> Option<u32> {
        self.made.as_ref().map(|(version, _)| *version)
    }
}

impl Commands {
    /// Carries a change out. A run that follows one whose end is not known finds it done.
    pub(super) async fn try_change(
        &self,
        live: &Live,
        request: &ChangeRequest,
    ) -> Result<(), Error> {
        if !live.begin(self.clock.now()) {
            // Who called it off stores its end.
            return Ok(());
        }
        self.tell_progress(live).await;
        if self.has_landed(request).await? {
            self.catalog.reload_stored().await?;
        } else if let Some(change) = &live.change {
            self.catalog.apply(change.clone()).await?;
        }
        let end = request.succeeded(live.end(JobState::Succeeded, Tally::default()));
        self.store_end(live.id(), &end).await.map(drop)
    }

    /// Ends a change that another process began: it is done whole, or not at all.
    pub(super) async fn settle_change(
        &self,
        head: &Head,
        request: &ChangeRequest,
    ) -> Result<(), Error> {
        if !self.has_landed(request).await? {
            return self.interrupt(head).await;
        }
        let end = End::new(JobState::Succeeded, head.started.clone(), Tally::default());
        let end = request.succeeded(end);
        self.store_end(head.id, &end).await.map(drop)
    }

    /// Whether what was asked for is stored.
    async fn has_landed(&self, request: &ChangeRequest) -> Result<bool, StorageError> {
        let port = self.catalog.port();
        let Some((version, document)) = &request.made else {
            let stored = port.load().await?;
            return Ok(stored.iter().all(|schema| schema.name != request.schema));
        };
        let versions = port.versions(&request.schema).await?;
        let mut stored = versions.iter().map(|version| &version.stored);
        Ok(stored.any(|stored| stored.version == *version && stored.document == *document))
    }
}

impl ChangeRequest {
    fn succeeded(&self, end: End) -> End {
        End {
            schema_version: self.version(),
            ..end
        }
    }
}
