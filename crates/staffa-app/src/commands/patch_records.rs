//! Changes some of the data of every record that matches.

use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;
use staffa_codec::decode::MergePatch;
use staffa_domain::batch::record_version;
use staffa_domain::{Operation, validate, validate_parts};

use crate::commands::{Affected, Commands};
use crate::context::{Context, Stage};
use crate::error::Error;

impl Commands {
    /// Merges a JSON object into the data of each matching record (RFC 7396), all or none, and
    /// answers how many there were. Answers once it is durable. A dry run checks the patch and
    /// counts.
    pub async fn patch_records(
        &self,
        ctx: &Context,
        affected: &Affected,
        body: &Bytes,
    ) -> Result<u64, Error> {
        let work = |affected| self.patch_affected(ctx, affected, body);
        self.follow_affected(affected, work).await
    }

    async fn patch_affected(
        &self,
        ctx: &Context,
        affected: Affected,
        body: &Bytes,
    ) -> Result<u64, Error> {
        let schema = Arc::clone(&affected.schema);
        let patch = ctx.time(Stage::Decode, || MergePatch::read(schema, body))?;
        // What is wrong in the patch is told once, not once a record.
        let (_, errors) = validate_parts(patch.part(), &[]);
        if !errors.is_empty() {
            return Err(Error::Invalid { errors });
        }
        let build = |current: &RecordBatch| {
            let (valid, errors) = validate(patch.apply(current));
            if !errors.is_empty() {
                return Err(Error::Invalid { errors });
            }
            let next = valid.stamp_next_of(current, self.clock.now());
            let replace = |(row, batch)| Operation::Replace {
                batch,
                expected: record_version(current, row).unwrap_or_default(),
            };
            Ok(next.singles().enumerate().map(replace).collect())
        };
        self.change_affected(ctx, &affected, (None, &build, patch.bytes()))
            .await
    }
}
