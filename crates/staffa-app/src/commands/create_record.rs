//! Creates one record.

use bytes::Bytes;
use staffa_codec::decode::{self, EnvelopeDecoder, Shape};
use staffa_codec::question::QuestionProblem;
use staffa_domain::{DecodedBatch, Operation, validate};

use crate::commands::Commands;
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::once::Done;
use crate::queries::RecordView;

impl Commands {
    /// Creates a record of `schema` from a JSON object. Answers once it is durable.
    pub async fn create_record(
        &self,
        ctx: &Context,
        schema: &str,
        body: &Bytes,
    ) -> Result<RecordView, Error> {
        self.follow_changes(|| async {
            let schema = self.catalog.get(schema)?;
            let decoded = ctx.time(Stage::Decode, || decode::decode_object(schema, body))?;
            self.store_record(ctx, decoded, false).await
        })
        .await
    }

    /// Creates a record from `{"schema_name": …, "data": {…}}`. Answers once it is durable.
    pub async fn create_record_enveloped(
        &self,
        ctx: &Context,
        body: &Bytes,
    ) -> Result<RecordView, Error> {
        self.follow_changes(|| async {
            let decoded = ctx.time(Stage::Decode, || self.open_envelope(body))?;
            self.store_record(ctx, decoded, true).await
        })
        .await
    }

    fn open_envelope(&self, body: &Bytes) -> Result<DecodedBatch, Error> {
        let mut envelope = EnvelopeDecoder::new(self.limits.body_bytes_max);
        envelope.push(body)?;
        let Some(name) = envelope.schema_name() else {
            envelope.finish()?;
            return Err(missing("schema_name").into());
        };
        let schema = self.catalog.get(name)?;
        envelope.resolve(schema, self.limits.decode_options())?;
        envelope.finish()?;
        if envelope.shape() != Some(Shape::Object) {
            return Err(wrong_shape("one record, an object").into());
        }
        envelope.take().ok_or_else(|| missing("data").into())
    }

    async fn store_record(
        &self,
        ctx: &Context,
        decoded: DecodedBatch,
        enveloped: bool,
    ) -> Result<RecordView, Error> {
        let (valid, errors) = ctx.time(Stage::Validate, || validate(decoded));
        if !errors.is_empty() {
            return Err(Error::Invalid { errors });
        }
        let ids = self.ids.next_ids(1);
        let stamped = valid.stamp(&ids, self.clock.now());
        let view = RecordView::new(stamped.schema(), stamped.records().clone());
        let done = Done::Created {
            view: &view,
            enveloped,
        };
        self.execute(ctx, vec![Operation::Create(stamped)], done)
            .await?;
        ctx.count_records(1);
        Ok(view)
    }
}

/// An envelope lacks a member.
pub(super) fn missing(member: &str) -> QuestionProblem {
    QuestionProblem::invalid(format!("/{member}"), format!("{member} is missing"))
}

/// The envelope's data is not what the route takes.
pub(super) fn wrong_shape(expected: &str) -> QuestionProblem {
    QuestionProblem::invalid("/data", format!("data must be {expected}"))
}
