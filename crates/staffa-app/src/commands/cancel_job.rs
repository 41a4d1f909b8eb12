//! Cancels a job, or removes one that has ended.

use std::sync::Arc;

use staffa_domain::RecordId;

use crate::commands::Commands;
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::jobs::{self, Job, JobRequest, Live, find};

impl Commands {
    /// Cancels a job that has not ended, on whatever server it is, and answers it: nothing of
    /// it is stored then, unless it came to its end first, as its state tells. A job that has
    /// ended is removed with its errors, and none is answered. A change of a schema is cancelled
    /// only where it waits, by its own server.
    pub async fn cancel_job(&self, ctx: &Context, id: RecordId) -> Result<Option<Job>, Error> {
        let found = find(&self.catalog, &*self.reader, id);
        let found = ctx.time_async(Stage::Engine, found).await?;
        let (head, end) = found.ok_or(Error::JobNotFound)?;
        let live = self.jobs.find(id);
        if end.is_some() {
            if let Some(live) = live {
                // It only looks up what failed, or has yet to learn of its end.
                live.cancelled.cancel();
                live.removed.cancel();
                live.wait().await;
            }
            self.remove_job(id).await?;
            return Ok(None);
        }
        if let JobRequest::Change(_) = &head.request {
            return self.call_off(live).await.map(Some);
        }
        let end = match &live {
            Some(live) => live.cancelled_end(),
            None => jobs::cancelled(&head),
        };
        // Once this is stored the job can store nothing any more.
        let is_cancelled = ctx
            .time_async(Stage::Engine, self.store_end(id, &end))
            .await?;
        if let Some(live) = live {
            if is_cancelled {
                live.cancelled.cancel();
            }
            live.wait().await;
        }
        self.job_as_stored(id).await.map(Some)
    }

    /// Cancels a change that waits: what has begun on a schema is not stopped half way.
    async fn call_off(&self, live: Option<Arc<Live>>) -> Result<Job, Error> {
        let live = live.filter(|live| live.call_off());
        let live = live.ok_or(Error::JobGoesOn)?;
        live.wait().await;
        self.store_end(live.id(), &live.cancelled_end()).await?;
        self.job_as_stored(live.id()).await
    }

    async fn job_as_stored(&self, id: RecordId) -> Result<Job, Error> {
        let found = find(&self.catalog, &*self.reader, id).await?;
        let (head, end) = found.ok_or(Error::JobNotFound)?;
        Ok(head.job(end.as_ref()))
    }
}
