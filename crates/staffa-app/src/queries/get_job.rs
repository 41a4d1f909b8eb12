//! Tells how far a job is.

use std::time::Duration;

use staffa_domain::RecordId;

use crate::context::{Context, Stage};
use crate::error::Error;
use crate::jobs::{Job, find};
use crate::queries::Queries;

impl Queries {
    /// A job of any server. One that runs in this process is told as it is at the moment, and
    /// waited for at most so long; one of another server as that last told.
    pub async fn get_job(&self, ctx: &Context, id: RecordId, wait: Duration) -> Result<Job, Error> {
        let live = || self.jobs.as_ref().and_then(|jobs| jobs.find(id));
        if let Some(live) = live()
            && !wait.is_zero()
        {
            // What it is after that is told, whichever it is.
            let _ = tokio::time::timeout(wait, live.wait()).await;
        }
        // Its own end, if it comes meanwhile, is stored before it leaves this process.
        if let Some(live) = live().filter(|live| !live.has_ended()) {
            return Ok(live.job());
        }
        let found = find(&self.catalog, &*self.reader, id);
        let found = ctx.time_async(Stage::Engine, found).await?;
        let (head, end) = found.ok_or(Error::JobNotFound)?;
        Ok(head.job(end.as_ref()))
    }
}
