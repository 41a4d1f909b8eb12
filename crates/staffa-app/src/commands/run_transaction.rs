//! Carries out a list of operations across schemas, all or none.
//!
//! The list is planned first, operation by operation, over what is stored and what earlier
//! operations made of it; then the engine carries the plan out in one commit. What the plan
//! read has a version, which the engine compares: where another write came in between, the
//! list is planned again.

mod plan;
mod view;

use bytes::Bytes;
use staffa_codec::decode::{Step, TransactionReader, Verb};
use staffa_domain::batch::bytes_of;
use staffa_domain::{RecordId, StorageError};

use crate::commands::Commands;
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::memory::Share;
use crate::once::Done;
use crate::queries::RecordView;

use plan::{Planner, Prepared, Source};

/// What one operation did.
#[derive(Debug, Clone)]
pub struct StepResult {
    /// The operation.
    pub verb: Verb,
    /// What the request calls its result.
    pub name: Option<String>,
    /// The record that it concerned, if it was one.
    pub id: Option<RecordId>,
    /// The record as the operation left it.
    pub record: Option<RecordView>,
}

impl Commands {
    /// Carries out `{"operations": […]}`, all or none, and answers what each did. Later
    /// operations see earlier ones. Answers once it is durable.
    pub async fn run_transaction(
        &self,
        ctx: &Context,
        body: &Bytes,
    ) -> Result<Vec<StepResult>, Error> {
        self.follow_changes(|| self.run_planned(ctx, body)).await
    }

    async fn run_planned(&self, ctx: &Context, body: &Bytes) -> Result<Vec<StepResult>, Error> {
        let steps = self.read_steps(ctx, body).await?;
        let (prepared, share) = self.prepare_steps(ctx, steps).await?;
        for _ in 0..=self.limits.retries_max {
            let plan = Planner::new(self, ctx).plan(&prepared).await?;
            if plan.operations.is_empty() && ctx.once().is_none() {
                return Ok(plan.results);
            }
            let done = Done::Steps(&plan.results);
            match self.execute(ctx, plan.operations, done).await {
                Ok(_) => {
                    share.keep();
                    plan.share.keep();
                    let changed = plan.results.iter();
                    ctx.count_records(changed.filter(|result| result.id.is_some()).count());
                    return Ok(plan.results);
                }
                Err(error) if is_race(&error, &plan.sources) => {}
                Err(error) => return Err(explain(error, &plan.sources)),
            }
        }
        Err(Error::Storage(StorageError::Conflict))
    }

    async fn read_steps<'b>(&self, ctx: &Context, body: &'b Bytes) -> Result<Vec<Step<'b>>, Error> {
        let (most, depth_max) = (self.limits.operations_max, self.limits.json_depth_max);
        let mut reader = TransactionReader::new(body, most, depth_max);
        let mut steps = Vec::new();
        while let Some(step) = ctx.time(Stage::Decode, || reader.next_step())? {
            steps.push(step);
            tokio::task::coop::consume_budget().await;
        }
        Ok(steps)
    }

    async fn prepare_steps<'b, 'c>(
        &self,
        ctx: &'c Context,
        steps: Vec<Step<'b>>,
    ) -> Result<(Vec<Prepared<'b>>, Share<'c>), Error> {
        let mut share = ctx.share();
        let mut prepared = Vec::with_capacity(steps.len());
        for (index, step) in steps.into_iter().enumerate() {
            let schema = self
                .catalog
                .get(&step.schema)
                .map_err(|error| error.in_operation(index, "/schema"))?;
            let step = ctx.time(Stage::Decode, || Prepared::new(index, step, schema))?;
            if let Some(decoded) = &step.decoded {
                share.set(share.bytes() + bytes_of(&decoded.properties))?;
            }
            prepared.push(step);
            tokio::task::coop::consume_budget().await;
        }
        Ok((prepared, share))
    }
}

/// Whether a plan failed since what it had read was no longer so.
fn is_race(error: &StorageError, sources: &[Source]) -> bool {
    match error {
        StorageError::RecordNotFound { operation }
        | StorageError::VersionMismatch { operation, .. } => {
            matches!(sources.get(*operation), Some(Source::Found))
        }
        StorageError::UniqueViolation { violation } => {
            let is_it = |source: &Source| matches!(source, Source::NotFound(key) if *key == violation.properties);
            match place(violation.index) {
                Some(operation) => sources.get(operation).is_some_and(is_it),
                None => sources.iter().any(is_it),
            }
        }
        _ => false,
    }
}

fn place(index: Option<u64>) -> Option<usize> {
    index.and_then(|index| usize::try_from(index).ok())
}

/// Names the operation that failed.
fn explain(error: StorageError, sources: &[Source]) -> Error {
    let (operation, member) = match &error {
        StorageError::RecordNotFound { operation } => (Some(*operation), "/id"),
        StorageError::VersionMismatch { operation, .. } => (Some(*operation), "/if_match"),
        StorageError::AssertionFailed { operation } => (Some(*operation), ""),
        StorageError::UniqueViolation { violation } => (place(violation.index), "/data"),
        _ => (None, ""),
    };
    match operation.filter(|operation| *operation < sources.len()) {
        Some(operation) => Error::from(error).in_operation(operation, member),
        None => error.into(),
    }
}
