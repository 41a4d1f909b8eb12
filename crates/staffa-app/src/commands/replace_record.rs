//! Replaces one record's data.

use std::sync::Arc;

use bytes::Bytes;
use staffa_codec::decode;
use staffa_domain::RecordId;

use crate::commands::{Commands, Precondition};
use crate::context::Context;
use crate::error::Error;
use crate::queries::RecordView;

impl Commands {
    /// Puts a JSON object in place of the record's data; absent properties take their default
    /// or become null. Answers once it is durable.
    pub async fn replace_record(
        &self,
        ctx: &Context,
        (schema, id): (&str, RecordId),
        body: &Bytes,
        precondition: &Precondition,
    ) -> Result<RecordView, Error> {
        self.follow_changes(|| async {
            let schema = self.catalog.get(schema)?;
            let build = |_: &_| decode::decode_object(Arc::clone(&schema), body);
            self.modify(ctx, (&schema, id), precondition, &build).await
        })
        .await
    }
}
