//! Where decoded batches go: checked, stamped, and into one atomic write, whose errors are
//! collected up to a limit.

use std::sync::Arc;

use arrow_array::RecordBatch;
use staffa_codec::decode::{CsvOptions, DecodeOptions};
use staffa_domain::ports::WriteSession;
use staffa_domain::{
    DecodedBatch, Operation, RecordError, SchemaSnapshot, StampedBatch, WriteMode, WriteReceipt,
    validate,
};

use crate::commands::{Commands, IngestReport, OnError, Return};
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::limits::Limits;

/// How records are read under these limits.
pub(super) fn decode_options(limits: &Limits) -> DecodeOptions {
    DecodeOptions {
        record_bytes_max: limits.record_bytes_max,
        depth_max: limits.json_depth_max,
        csv: CsvOptions::default(),
        ..DecodeOptions::default()
    }
}

/// What a sink does with records and their errors.
#[derive(Debug, Clone)]
pub(super) struct SinkOptions {
    pub(super) mode: WriteMode,
    pub(super) on_error: OnError,
    pub(super) errors_max: usize,
    pub(super) returning: Return,
}

/// One atomic write in the making. The first batch is held back: a request that has no
/// second one is short enough to share a commit with others.
pub(super) struct Sink<'a> {
    commands: &'a Commands,
    ctx: &'a Context,
    schema: Arc<SchemaSnapshot>,
    options: SinkOptions,
    held: Option<StampedBatch>,
    session: Option<Box<dyn WriteSession>>,
    report: IngestReport,
    stored: Vec<RecordBatch>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(
        commands: &'a Commands,
        ctx: &'a Context,
        schema: Arc<SchemaSnapshot>,
        options: SinkOptions,
    ) -> Self {
        Self {
            commands,
            ctx,
            schema,
            options,
            held: None,
            session: None,
            report: IngestReport::default(),
            stored: Vec::new(),
        }
    }

    /// The schema that the records belong to.
    pub(super) const fn schema(&self) -> &Arc<SchemaSnapshot> {
        &self.schema
    }

    /// Takes one batch from the decoder.
    pub(super) async fn put(&mut self, decoded: DecodedBatch) -> Result<(), Error> {
        self.report.received += decoded.len as u64;
        let (valid, errors) = self.ctx.time(Stage::Validate, || validate(decoded));
        self.note(errors);
        if self.is_lost() {
            // Nothing will be stored; what follows is read only for its errors.
            self.held = None;
            self.session = None;
            return Ok(());
        }
        if valid.is_empty() {
            return Ok(());
        }
        let ids = self.commands.ids.next_ids(valid.len());
        let stamped = valid.stamp(&ids, self.commands.clock.now());
        if self.options.returning != Return::None {
            self.stored.push(stamped.records().clone());
        }
        match self.held.replace(stamped) {
            Some(earlier) => self.append(earlier).await,
            None => Ok(()),
        }
    }

    /// Ends the write: commits unless an error forbids it. Answers what became of the records
    /// and those that were stored, where they are to be returned.
    pub(super) async fn finish(mut self) -> Result<(IngestReport, Vec<RecordBatch>), Error> {
        if self.is_lost() {
            return Ok((self.report, Vec::new()));
        }
        self.report.receipt = match (self.held.take(), self.session.is_some()) {
            (Some(only), false) if self.options.mode == WriteMode::Insert => {
                self.execute(only).await?
            }
            (last, _) => {
                if let Some(last) = last {
                    self.append(last).await?;
                }
                self.commit().await?
            }
        };
        let WriteReceipt {
            inserted,
            updated,
            deleted,
            ..
        } = self.report.receipt;
        let changed = inserted + updated + deleted;
        self.ctx
            .count_records(usize::try_from(changed).unwrap_or(usize::MAX));
        Ok((self.report, self.stored))
    }

    fn is_lost(&self) -> bool {
        self.report.failed > 0 && self.options.on_error == OnError::Abort
    }

    fn note(&mut self, errors: Vec<RecordError>) {
        let mut last = None;
        for error in errors {
            if last != Some(error.index) {
                last = Some(error.index);
                self.report.failed += 1;
            }
            if self.report.errors.len() < self.options.errors_max {
                self.report.errors.push(error);
            } else {
                self.report.errors_truncated = true;
            }
        }
    }

    async fn append(&mut self, batch: StampedBatch) -> Result<(), Error> {
        if self.session.is_none() {
            let open = self
                .commands
                .writer
                .begin(&self.schema, self.options.mode.clone());
            self.session = Some(self.ctx.time_async(Stage::Engine, open).await?);
        }
        let Some(session) = self.session.as_mut() else {
            return Ok(());
        };
        self.ctx
            .time_async(Stage::Engine, session.append(batch))
            .await
            .map_err(Error::from)
    }

    async fn commit(&mut self) -> Result<WriteReceipt, Error> {
        match self.session.take() {
            Some(session) => self
                .ctx
                .time_async(Stage::Engine, session.commit())
                .await
                .map_err(Error::from),
            None => Ok(WriteReceipt::default()),
        }
    }

    async fn execute(&mut self, batch: StampedBatch) -> Result<WriteReceipt, Error> {
        let inserted = batch.len() as u64;
        let work = self.commands.writer.execute(vec![Operation::Create(batch)]);
        let done = self.ctx.time_async(Stage::Engine, work).await?;
        Ok(WriteReceipt {
            inserted,
            commit: done.commit,
            ..WriteReceipt::default()
        })
    }
}
