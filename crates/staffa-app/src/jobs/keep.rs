//! What is done for jobs beside running them: taking over what an earlier process left, telling
//! how far they are, letting go of old ones, and the end of the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use staffa_domain::batch::record_id;
use staffa_domain::ports::SpoolPart;
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{
    Field, Filter, Operation, RecordId, RecordQuery, SchemaSnapshot, StorageError, Timestamp, Value,
};

use super::record::{self, ENDS, JOBS};
use super::{End, Head, JobRequest, JobState, Launch};
use crate::commands::Commands;
use crate::error::Error;

/// How often progress is told to other servers.
const TELL_PERIOD: Duration = Duration::from_secs(15);
/// How many of these pass between looks for what others left.
const TELLS_PER_LOOK: u32 = 40;
/// Silence after which the server of a job is taken to be gone for good.
const LOST_AFTER: Duration = Duration::from_mins(10);
/// How many old jobs are looked for at once.
const SWEPT_AT_A_TIME: u64 = 1_000;

impl Commands {
    /// Takes over the jobs that an earlier process left, and keeps all of them in order, until
    /// dropped.
    pub async fn keep_jobs(&self) {
        let mut ticks = 0;
        loop {
            if ticks % TELLS_PER_LOOK == 0 {
                if let Err(error) = self.adopt_jobs().await {
                    tracing::warn!(%error, "jobs could not be looked for");
                }
                match self.sweep_jobs().await {
                    Ok(0) => {}
                    Ok(swept) => tracing::debug!(swept, "old jobs are let go"),
                    Err(error) => tracing::warn!(%error, "old jobs could not be let go"),
                }
            }
            ticks += 1;
            tokio::time::sleep(TELL_PERIOD).await;
            for live in self.jobs.all() {
                self.tell_progress(&live).await;
            }
        }
    }

    /// Runs the bulk writes again whose bodies are here and which have not ended; ends those
    /// whose body or server is gone, and changes that were cut off; removes files that belong to
    /// no job.
    pub async fn adopt_jobs(&self) -> Result<(), Error> {
        self.prepare_jobs().await?;
        let mut bodies = BTreeMap::new();
        let mut files = BTreeSet::new();
        for (job, part, bytes) in self.jobs.spool.list().await? {
            files.insert(job);
            if part == SpoolPart::Body {
                bodies.insert(job, bytes);
            }
        }
        let own = self.jobs.spool.name().await?;
        for head in self.open_jobs().await? {
            let (id, body) = (head.id, bodies.get(&head.id));
            files.remove(&id);
            if self.jobs.is_here(id) {
                continue;
            }
            let is_lost = head.updated_at < self.before(LOST_AFTER);
            if let JobRequest::Change(request) = &head.request {
                if head.spool == own || is_lost {
                    self.settle_change(&head, request).await?;
                }
                continue;
            }
            match body {
                Some(bytes) if head.spool == own => {
                    if let Some(place) = self.jobs.retake_place(id, *bytes) {
                        tracing::info!(job = %id, "the job is run again from its beginning");
                        Launch::new(self, place, (head, None)).go();
                    }
                }
                None if head.spool == own => self.interrupt(&head).await?,
                _ if is_lost => self.interrupt(&head).await?,
                _ => {}
            }
        }
        for job in files {
            if !self.jobs.is_here(job) {
                self.settle_files(job).await?;
            }
        }
        Ok(())
    }

    /// Makes sure that jobs can be stored.
    pub(crate) async fn prepare_jobs(&self) -> Result<(), StorageError> {
        self.catalog.keep_internal(&JOBS).await?;
        self.catalog.keep_internal(&ENDS).await
    }

    /// Ends a job that nobody can run any more.
    pub(super) async fn interrupt(&self, head: &Head) -> Result<(), Error> {
        let (started, tally) = (head.started.clone(), head.started.tally());
        let end = End::new(JobState::Interrupted, started, tally);
        if self.store_end(head.id, &end).await? {
            tracing::warn!(job = %head.id, "the job was cut off and cannot be run again");
        }
        Ok(())
    }

    /// Looks after the files of a job that is not open.
    pub(super) async fn settle_files(&self, job: RecordId) -> Result<(), Error> {
        match record::find(&self.catalog, &*self.reader, job).await? {
            Some((head, Some(end))) if end.has_errors => {
                if let JobRequest::Ingest(request) = &head.request {
                    self.clear_up(job, request).await;
                }
            }
            // It came to be since the look at what is open.
            Some((_, None)) => {}
            _ => self.forget_files(job).await,
        }
        Ok(())
    }

    /// The jobs that have no end.
    async fn open_jobs(&self) -> Result<Vec<Head>, Error> {
        let mut open = Vec::new();
        let all = RecordQuery::all(Arc::clone(&JOBS));
        let mut batches = self.reader.scan(all).await?;
        while let Some(batch) = batches.try_next().await? {
            let rows = 0..batch.num_rows();
            let ids: Vec<RecordId> = rows.filter_map(|row| record_id(&batch, row)).collect();
            let ended = self.reader.get(&ENDS, &ids).await?;
            let ended = (0..ended.num_rows()).filter_map(|row| record_id(&ended, row));
            let ended: BTreeSet<RecordId> = ended.collect();
            for (row, id) in ids.iter().enumerate() {
                if !ended.contains(id) {
                    open.push(Head::read(&batch, row)?);
                }
            }
        }
        // The oldest is the first again.
        open.sort_by_key(|head| head.id);
        Ok(open)
    }

    /// Lets go of the jobs that ended long enough ago, and says how many.
    pub async fn sweep_jobs(&self) -> Result<u64, Error> {
        if !self.catalog.has_internal(&ENDS) {
            return Ok(0);
        }
        let mut swept = 0;
        loop {
            let since = Value::Datetime(self.before(self.limits.jobs_kept_for));
            let test = Test::Compare(Comparison::Lt, since);
            let query = RecordQuery {
                filter: Some(Filter::condition(Field::CreatedAt, test)),
                limit: Some(SWEPT_AT_A_TIME),
                select: Some(Vec::new()),
                ..RecordQuery::all(Arc::clone(&ENDS))
            };
            let batches: Vec<_> = self.reader.scan(query).await?.try_collect().await?;
            let rows = batches
                .iter()
                .flat_map(|batch| (0..batch.num_rows()).filter_map(|row| record_id(batch, row)));
            let old: Vec<RecordId> = rows.collect();
            if old.is_empty() {
                return Ok(swept);
            }
            for job in old {
                self.remove_job(job).await?;
                swept += 1;
            }
        }
    }

    /// Removes a job that has ended, and its files.
    pub(crate) async fn remove_job(&self, job: RecordId) -> Result<(), Error> {
        self.forget_files(job).await;
        // In this order an end alone may be left, which the next sweep removes; a beginning
        // alone would be taken for a job.
        for operation in [delete(&JOBS, job), delete(&ENDS, job)] {
            match self.writer.execute(vec![operation]).await {
                // Another server removes it as well.
                Ok(_) | Err(StorageError::RecordNotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Begins no job any more and gives those that run so long to end; what is left is cut off,
    /// and run again by the next process.
    pub async fn drain_jobs(&self, patience: Duration) {
        self.jobs.draining.cancel();
        self.jobs.tasks.close();
        if tokio::time::timeout(patience, self.jobs.tasks.wait())
            .await
            .is_err()
        {
            self.jobs.cut.cancel();
            self.jobs.tasks.wait().await;
        }
    }

    fn before(&self, age: Duration) -> Timestamp {
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let now = self.clock.now().as_micros();
        Timestamp::from_micros(now.saturating_sub(age)).max(Timestamp::MIN)
    }
}

fn delete(schema: &Arc<SchemaSnapshot>, id: RecordId) -> Operation {
    Operation::Delete {
        schema: Arc::clone(schema),
        id,
        expected: None,
    }
}

/// An end of a job that is known by its record alone.
pub(crate) fn cancelled(head: &Head) -> End {
    End::new(
        JobState::Cancelled,
        head.started.clone(),
        head.started.tally(),
    )
}
