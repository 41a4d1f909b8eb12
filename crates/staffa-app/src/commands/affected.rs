//! Changing every record that a filter matches: found in one snapshot, changed in one atomic
//! write, and only if each is still what it was.

use std::sync::Arc;

use arrow_array::RecordBatch;
use futures_util::TryStreamExt;
use staffa_codec::question;
use staffa_domain::{Filter, Operation, RecordQuery, SchemaSnapshot, StorageError};

use crate::commands::Commands;
use crate::commands::read_modify_write::refuse_append_only;
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::limits::Limits;
use crate::memory::Share;
use crate::once::Done;

/// Which records a change concerns, and how many it may be.
#[derive(Debug, Clone)]
pub struct Affected {
    /// The schema of the records.
    pub schema: Arc<SchemaSnapshot>,
    /// What they match.
    pub filter: Filter,
    /// How many there may be at most; at more nothing is done.
    pub affected_max: u64,
    /// Whether they are counted only.
    pub dry_run: bool,
}

impl Affected {
    /// The same of the version that its schema has now: the filter is read again, by the names in
    /// it, as the request would be.
    fn of(&self, schema: Arc<SchemaSnapshot>, limits: &Limits) -> Result<Self, Error> {
        if Arc::ptr_eq(&schema, &self.schema) {
            return Ok(self.clone());
        }
        let written = question::write_filter(&self.schema, &self.filter);
        let limits = question::Limits {
            // What a request says in two places is joined.
            depth_max: limits.filter_depth_max.saturating_add(1),
            conditions_max: limits.filter_conditions_max,
        };
        let filter = question::parse_filters(&schema, &written, "/filters", &limits)?;
        Ok(Self {
            schema,
            filter: filter.unwrap_or_else(|| self.filter.clone()),
            ..*self
        })
    }
}

/// What records may grow by that are changed in one go.
const BUILD_BYTES: usize = 4 << 20;

/// Makes the operations that change some records, which are laid out as asked for.
type Build<'b> = dyn Fn(&RecordBatch) -> Result<Vec<Operation>, Error> + Send + Sync + 'b;

impl Commands {
    /// Does a change by filter, and does it again where the schema moved meanwhile.
    pub(super) async fn follow_affected<'a, W>(
        &'a self,
        affected: &'a Affected,
        work: impl Fn(Affected) -> W + Send + Sync,
    ) -> Result<u64, Error>
    where
        W: Future<Output = Result<u64, Error>> + Send,
    {
        self.follow_changes(|| async {
            let schema = self.catalog.get(affected.schema.name())?;
            work(affected.of(schema, &self.limits)?).await
        })
        .await
    }

    /// Changes the records that match by what `build` makes of them, all or none, and answers
    /// how many; each takes at most `grows_by` bytes more then. When another write comes in
    /// between, it looks again. Records that come to match after it has looked stay as they are.
    pub(super) async fn change_affected(
        &self,
        ctx: &Context,
        affected: &Affected,
        (select, build, grows_by): (Option<Vec<usize>>, &Build<'_>, usize),
    ) -> Result<u64, Error> {
        refuse_append_only(&affected.schema)?;
        if affected.dry_run {
            return self.count_affected(ctx, affected).await;
        }
        for _ in 0..=self.limits.retries_max {
            let mut share = ctx.share();
            let question = (select.clone(), grows_by);
            let found = self
                .find_affected(ctx, affected, question, &mut share)
                .await?;
            let mut operations = Vec::new();
            let rows = (BUILD_BYTES / grows_by.max(1)).max(1);
            for piece in found.iter().flat_map(|batch| pieces(batch, rows)) {
                operations.extend(ctx.time(Stage::Validate, || build(&piece))?);
                tokio::task::coop::consume_budget().await;
            }
            drop(found);
            let changed = operations.len();
            if changed == 0 && ctx.once().is_none() {
                return Ok(0);
            }
            let done = Done::Affected(changed as u64);
            match self.execute(ctx, operations, done).await {
                Ok(_) => {
                    ctx.count_records(changed);
                    return Ok(changed as u64);
                }
                Err(StorageError::VersionMismatch { .. } | StorageError::RecordNotFound { .. }) => {
                }
                Err(StorageError::UniqueViolation { mut violation }) => {
                    // The place in the list that was found says nothing to who asked.
                    violation.index = None;
                    return Err(Error::UniqueViolation(violation));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Storage(StorageError::Conflict))
    }

    async fn count_affected(&self, ctx: &Context, affected: &Affected) -> Result<u64, Error> {
        let count = self
            .reader
            .count(&affected.schema, Some(&affected.filter), true);
        Ok(ctx.time_async(Stage::Engine, count).await?.records)
    }

    async fn find_affected(
        &self,
        ctx: &Context,
        affected: &Affected,
        (select, grows_by): (Option<Vec<usize>>, usize),
        share: &mut Share<'_>,
    ) -> Result<Vec<RecordBatch>, Error> {
        let query = RecordQuery {
            filter: Some(affected.filter.clone()),
            limit: Some(affected.affected_max + 1),
            select,
            bytes_max: Some(self.limits.body_bytes_max as u64),
            ..RecordQuery::all(Arc::clone(&affected.schema))
        };
        let scan = self.reader.scan(query);
        let mut batches = ctx.time_async(Stage::Engine, scan).await?;
        let mut found = Vec::new();
        let (mut records, mut bytes) = (0, 0_usize);
        while let Some(batch) = ctx.time_async(Stage::Engine, batches.try_next()).await? {
            records += batch.num_rows() as u64;
            bytes += batch.get_array_memory_size();
            bytes = bytes.saturating_add(batch.num_rows().saturating_mul(grows_by));
            if records > affected.affected_max {
                drop(batches);
                let most = affected.affected_max;
                let found = self.count_affected(ctx, affected).await?.max(most + 1);
                return Err(Error::TooManyAffected { found, most });
            }
            if bytes > self.limits.body_bytes_max {
                let most = self.limits.body_bytes_max;
                let message = format!(
                    "the records that match, as they are and as they would be, take more than \
                     {most} bytes; change less at a time"
                );
                return Err(Error::TooLarge(message));
            }
            share.set(bytes)?;
            found.push(batch);
        }
        Ok(found)
    }
}

/// Cuts a batch into pieces of at most so many records.
fn pieces(batch: &RecordBatch, rows: usize) -> impl Iterator<Item = RecordBatch> {
    let starts = (0..batch.num_rows()).step_by(rows);
    starts.map(move |start| batch.slice(start, rows.min(batch.num_rows() - start)))
}
