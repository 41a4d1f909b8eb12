//! Changing one record depending on what it is now: read, build the next version, replace
//! it if nobody else did meanwhile.

use std::sync::Arc;

use arrow_array::RecordBatch;
use staffa_codec::decode::DecodeError;
use staffa_domain::batch::{record_created_at, record_version};
use staffa_domain::{
    DecodedBatch, Operation, RecordId, SchemaSnapshot, StampedBatch, StorageError, validate,
};

use crate::commands::Commands;
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::once::Done;
use crate::queries::RecordView;

/// What a request insists on (RFC 9110 §13).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Nothing, or that the record exists.
    #[default]
    None,
    /// `If-Match`: the record has one of these versions.
    Versions(Vec<i64>),
    /// `If-None-Match: *`: the record does not exist.
    Absent,
}

impl Precondition {
    /// Whether a record at `version` may be changed.
    pub(super) fn check(&self, version: i64) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Versions(versions) if versions.contains(&version) => Ok(()),
            Self::Versions(_) | Self::Absent => Err(Error::VersionMismatch { current: version }),
        }
    }
}

impl Commands {
    /// Replaces the record with what `build` makes of it. When another write comes in
    /// between, it reads and builds again: a precondition is then checked anew.
    pub(super) async fn modify(
        &self,
        ctx: &Context,
        target: (&Arc<SchemaSnapshot>, RecordId),
        precondition: &Precondition,
        build: &(dyn Fn(&RecordBatch) -> Result<DecodedBatch, DecodeError> + Sync),
    ) -> Result<RecordView, Error> {
        let (schema, id) = target;
        refuse_append_only(schema)?;
        for _ in 0..=self.limits.retries_max {
            let ids = [id];
            let found = self.reader.get(schema, &ids);
            let found = ctx.time_async(Stage::Engine, found).await?;
            let current = found.num_rows().checked_sub(1).map(|_| found.slice(0, 1));
            let current = current.ok_or(Error::RecordNotFound)?;
            let version = record_version(&current, 0).ok_or(Error::RecordNotFound)?;
            precondition.check(version)?;
            let decoded = ctx.time(Stage::Decode, || build(&current))?;
            let next = self.next_version(ctx, decoded, (id, version), &current)?;
            let view = RecordView::new(schema, next.records().clone());
            let replace = vec![Operation::Replace {
                batch: next,
                expected: version,
            }];
            match self.execute(ctx, replace, Done::Changed(&view)).await {
                Ok(_) => {
                    ctx.count_records(1);
                    return Ok(view);
                }
                Err(StorageError::VersionMismatch { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Storage(StorageError::Conflict))
    }

    fn next_version(
        &self,
        ctx: &Context,
        decoded: DecodedBatch,
        (id, version): (RecordId, i64),
        current: &RecordBatch,
    ) -> Result<StampedBatch, Error> {
        let (valid, errors) = ctx.time(Stage::Validate, || validate(decoded));
        if !errors.is_empty() {
            return Err(Error::Invalid { errors });
        }
        let now = self.clock.now();
        let created_at = record_created_at(current, 0).unwrap_or(now);
        Ok(valid.stamp_next(id, created_at, now, version + 1))
    }
}

/// Records of an append-only schema never change.
pub(super) fn refuse_append_only(schema: &SchemaSnapshot) -> Result<(), Error> {
    if schema.schema().append_only {
        let message = format!(
            "records of the append-only schema {} never change",
            schema.name()
        );
        return Err(Error::Storage(StorageError::Unsupported(message)));
    }
    Ok(())
}
