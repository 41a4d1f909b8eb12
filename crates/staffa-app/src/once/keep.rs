//! Keeping answers with what they answer for, finding them, and letting them go.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use staffa_domain::batch::{record_created_at, record_id};
use staffa_domain::error::UniqueViolation;
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{
    Field, Filter, Operation, Outcome, RecordQuery, StampedBatch, StorageError, Timestamp, Value,
};

use super::record::{self, KEYS, id_of};
use super::{Claim, Done, End, Keeps, Kept, Once, Told};
use crate::commands::Commands;
use crate::context::{Context, Stage};
use crate::error::Error;

/// How many answers are let go in one commit.
const SWEPT_AT_A_TIME: u64 = 1_000;
/// How often they are looked for.
const SWEEP_PERIOD: Duration = Duration::from_mins(10);

impl Commands {
    /// Holds a key for a request; refuses it while another request of this process holds it.
    pub fn claim_key(&self, key: &str) -> Result<Claim, Error> {
        self.claims.take(id_of(key))
    }

    /// The answer that is kept under a key, unless it is too old.
    pub async fn kept_answer(&self, ctx: &Context, claim: &Claim) -> Result<Option<Kept>, Error> {
        self.catalog.keep_internal(&KEYS).await?;
        let ids = [claim.id];
        let found = self.reader.get(&KEYS, &ids);
        let found = ctx.time_async(Stage::Engine, found).await?;
        if found.num_rows() == 0 {
            return Ok(None);
        }
        if record_created_at(&found, 0).is_some_and(|at| at < self.keys_kept_since()) {
            self.let_go(vec![delete(claim.id)]).await?;
            return Ok(None);
        }
        Ok(Some(record::read(&found)?))
    }

    /// Lets go of answers when they have been kept long enough, until dropped.
    pub async fn keep_sweeping(&self) {
        loop {
            match self.sweep_keys().await {
                Ok(0) => {}
                Ok(swept) => tracing::debug!(swept, "old answers are let go"),
                Err(error) => tracing::warn!(%error, "old answers could not be let go"),
            }
            tokio::time::sleep(SWEEP_PERIOD).await;
        }
    }

    /// Lets go of the answers that were kept long enough, and says how many.
    pub async fn sweep_keys(&self) -> Result<u64, Error> {
        if !self.catalog.has_internal(&KEYS) {
            // Nobody has sent a key yet.
            return Ok(0);
        }
        self.catalog.keep_internal(&KEYS).await?;
        let mut swept = 0;
        loop {
            let since = Value::Datetime(self.keys_kept_since());
            let test = Test::Compare(Comparison::Lt, since);
            let query = RecordQuery {
                filter: Some(Filter::condition(Field::CreatedAt, test)),
                limit: Some(SWEPT_AT_A_TIME),
                select: Some(Vec::new()),
                ..RecordQuery::all(Arc::clone(&KEYS))
            };
            let batches: Vec<_> = self.reader.scan(query).await?.try_collect().await?;
            let rows = batches
                .iter()
                .flat_map(|batch| (0..batch.num_rows()).filter_map(|row| record_id(batch, row)));
            let old: Vec<_> = rows.map(delete).collect();
            if old.is_empty() {
                return Ok(swept);
            }
            swept += old.len() as u64;
            self.let_go(old).await?;
        }
    }

    fn keys_kept_since(&self) -> Timestamp {
        let kept_for = i64::try_from(self.limits.keys_kept_for.as_micros());
        let now = self.clock.now().as_micros();
        Timestamp::from_micros(now.saturating_sub(kept_for.unwrap_or(i64::MAX))).max(Timestamp::MIN)
    }

    async fn let_go(&self, old: Vec<Operation>) -> Result<(), Error> {
        match self.writer.execute(old).await {
            // Another server lets them go as well.
            Ok(_) | Err(StorageError::RecordNotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Carries operations out. Where the request has a key its answer is stored with them.
    pub(crate) async fn execute(
        &self,
        ctx: &Context,
        mut operations: Vec<Operation>,
        done: Done<'_>,
    ) -> Result<Outcome, StorageError> {
        let Some(once) = ctx.once() else {
            let work = self.writer.execute(operations);
            return ctx.time_async(Stage::Engine, work).await;
        };
        let (record, told) = self.tell(once, done).await?;
        operations.push(Operation::Create(record));
        let work = self.writer.execute(operations);
        let result = ctx.time_async(Stage::Engine, work).await;
        once.end(result, told)
    }

    /// The record of the answer to a request with a key, or of the end of a job, to be stored
    /// with what it did.
    pub(crate) async fn tell(
        &self,
        once: &Once,
        done: Done<'_>,
    ) -> Result<(StampedBatch, Option<Told>), StorageError> {
        let (fingerprint, teller) = match &once.keeps {
            Keeps::Answer(fingerprint, teller) => (fingerprint, teller),
            Keeps::Job(live) => return Ok((self.tell_end(live, done).await?, None)),
        };
        self.catalog.keep_internal(&KEYS).await?;
        let told = match teller.tell(done).await {
            Ok(told) => told,
            Err(Error::TooLarge(message)) => {
                // Whoever sent the request is told so instead of the conflict.
                let _ = once.end.set(End::TooLong(message));
                return Err(StorageError::Conflict);
            }
            Err(error) => return Err(StorageError::internal(error)),
        };
        let fingerprint = fingerprint.text();
        let record = record::write((once.id, self.clock.now()), fingerprint, &told)?;
        Ok((record, Some(told)))
    }
}

fn delete(id: staffa_domain::RecordId) -> Operation {
    Operation::Delete {
        schema: Arc::clone(&KEYS),
        id,
        expected: None,
    }
}

impl Once {
    /// Notes how the commit of the answer went. The id of a key that is taken is no matter of
    /// the records: it means that the same request was carried out elsewhere.
    pub(crate) fn end<T>(
        &self,
        result: Result<T, StorageError>,
        told: Option<Told>,
    ) -> Result<T, StorageError> {
        match result {
            Ok(done) => {
                // A request commits once.
                let _ = self.end.set(End::Stored(told));
                Ok(done)
            }
            Err(StorageError::UniqueViolation {
                violation: UniqueViolation { properties, .. },
            }) if properties == ["id"] => {
                let _ = self.end.set(End::Taken);
                Err(StorageError::Conflict)
            }
            Err(error) => Err(error),
        }
    }
}
