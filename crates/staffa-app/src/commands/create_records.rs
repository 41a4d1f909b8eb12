//! Creates the records of one `{"schema_name": …, "data": […]}` envelope, all or none.

use std::sync::Arc;

use arrow_array::RecordBatch;
use futures_util::StreamExt;
use staffa_codec::decode::{BatchDecoder, EnvelopeDecoder, Shape};
use staffa_domain::{RecordId, SchemaSnapshot, WriteMode};

use crate::body::{BodyError, ByteStream, SLICE_BYTES};
use crate::commands::create_record::{missing, wrong_shape};
use crate::commands::follow_changes::ShortBody;
use crate::commands::sink::{Sink, SinkOptions};
use crate::commands::{Commands, OnError};
use crate::context::{Context, Stage};
use crate::error::Error;

/// How much of what was stored the answer repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Return {
    /// Counts alone.
    #[default]
    None,
    /// The ids.
    Ids,
    /// The records.
    Records,
}

/// What to create.
pub struct CreateRecords {
    /// The envelope.
    pub body: ByteStream,
    /// What the answer repeats.
    pub returning: Return,
    /// How many errors are reported at most.
    pub errors_max: usize,
}

impl std::fmt::Debug for CreateRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateRecords")
            .field("returning", &self.returning)
            .finish_non_exhaustive()
    }
}

/// What was created.
#[derive(Debug, Clone)]
pub struct CreatedRecords {
    /// The schema they belong to.
    pub schema: Arc<SchemaSnapshot>,
    /// How many.
    pub created: u64,
    /// Their ids, where the answer repeats those.
    pub ids: Vec<RecordId>,
    /// The records themselves, where the answer repeats them.
    pub records: Vec<RecordBatch>,
}

impl Commands {
    /// Creates every record of the envelope, or none when any breaks a rule. Answers once
    /// they are durable. Decodes while the body comes in.
    pub async fn create_records(
        &self,
        ctx: &Context,
        mut request: CreateRecords,
    ) -> Result<CreatedRecords, Error> {
        let kept = ShortBody::of(&mut request.body);
        let mut changes = self.changes();
        loop {
            let done = self.create_all(ctx, &mut request).await;
            let again = changes
                .concern(&done, Error::is_moved)
                .then(|| kept.again())
                .flatten();
            match again {
                Some(body) => request.body = body,
                None => return done,
            }
            changes.catch_up().await?;
        }
    }

    async fn create_all(
        &self,
        ctx: &Context,
        request: &mut CreateRecords,
    ) -> Result<CreatedRecords, Error> {
        let mut envelope = EnvelopeDecoder::new(self.limits.body_bytes_max);
        let options = SinkOptions {
            mode: WriteMode::Insert,
            on_error: OnError::Abort,
            errors_max: request.errors_max,
            returning: request.returning,
            enveloped: true,
        };
        let mut sink: Option<Sink<'_>> = None;
        let mut share = ctx.share();
        let mut bytes = 0usize;
        while let Some(chunk) = request.body.next().await {
            let chunk = chunk?;
            bytes += chunk.len();
            if bytes > self.limits.body_bytes_max {
                let max_bytes = self.limits.body_bytes_max as u64;
                return Err(BodyError::TooLarge { max_bytes }.into());
            }
            let mut rest = chunk;
            while !rest.is_empty() {
                let most = sink.as_ref().map_or(SLICE_BYTES, Sink::piece_bytes);
                let slice = rest.split_to(most.min(rest.len()));
                ctx.time(Stage::Decode, || envelope.push(&slice))?;
                share.set(envelope.held_bytes())?;
                match sink.as_mut() {
                    Some(sink) => self.drain(&mut envelope, sink).await?,
                    None if envelope.schema_name().is_some() => {
                        sink = Some(self.open_sink(ctx, &mut envelope, &options).await?);
                    }
                    None => {}
                }
                tokio::task::coop::consume_budget().await;
            }
        }
        ctx.time(Stage::Decode, || envelope.finish())?;
        let mut sink = sink.ok_or_else(|| missing("schema_name"))?;
        if envelope.shape() != Some(Shape::Array) {
            return Err(wrong_shape("an array of records").into());
        }
        self.drain(&mut envelope, &mut sink).await?;
        drop(share);
        let schema = Arc::clone(sink.schema());
        let (report, records) = sink.finish().await?;
        if report.failed > 0 {
            return Err(Error::Invalid {
                errors: report.errors,
            });
        }
        Ok(CreatedRecords {
            schema,
            created: report.receipt.inserted,
            ids: report.ids,
            records,
        })
    }

    /// Reads what came before the schema's name was known.
    async fn open_sink<'a>(
        &'a self,
        ctx: &'a Context,
        envelope: &mut EnvelopeDecoder,
        options: &SinkOptions,
    ) -> Result<Sink<'a>, Error> {
        let name = envelope.schema_name().unwrap_or_default();
        let schema = self.catalog.get(name)?;
        envelope.resolve_to(Arc::clone(&schema), self.limits.decode_options());
        let mut sink = Sink::new(self, ctx, schema, options.clone());
        let most = sink.piece_bytes();
        while ctx.time(Stage::Decode, || envelope.read_on(most))? {
            self.drain(envelope, &mut sink).await?;
            tokio::task::coop::consume_budget().await;
        }
        Ok(sink)
    }

    async fn drain(
        &self,
        envelope: &mut EnvelopeDecoder,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        while let Some(batch) = envelope.take() {
            let after = batch.origin.first + batch.len as u64;
            if after > self.limits.bulk_records_max as u64 {
                let most = self.limits.bulk_records_max;
                let message = format!("data has more than {most} records; stream them instead");
                return Err(Error::TooLarge(message));
            }
            sink.put(batch).await?;
        }
        Ok(())
    }
}
