//! Changes some of one record's data.

use std::sync::Arc;

use bytes::Bytes;
use staffa_codec::decode::MergePatch;
use staffa_domain::RecordId;

use crate::commands::{Commands, Precondition};
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::queries::RecordView;

impl Commands {
    /// Merges a JSON object into the record's data (RFC 7396): an absent property stays, a
    /// null one becomes null. Answers once it is durable.
    pub async fn patch_record(
        &self,
        ctx: &Context,
        (schema, id): (&str, RecordId),
        body: &Bytes,
        precondition: &Precondition,
    ) -> Result<RecordView, Error> {
        self.follow_changes(|| async {
            let schema = self.catalog.get(schema)?;
            let read = || MergePatch::read(Arc::clone(&schema), body);
            let patch = ctx.time(Stage::Decode, read)?;
            let build = |current: &_| Ok(patch.apply(current));
            self.modify(ctx, (&schema, id), precondition, &build).await
        })
        .await
    }
}
