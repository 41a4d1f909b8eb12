//! Where decoded batches go: checked, stamped, and into one atomic write, whose errors are
//! collected up to a limit.

mod taken;

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::{RecordBatch, new_null_array};
use staffa_codec::decode::piece_bytes;
use staffa_domain::batch::bytes_of;
use staffa_domain::error::UniqueViolation;
use staffa_domain::ports::{SESSION_BATCHES_MAX, WriteSession};
use staffa_domain::{
    DecodedBatch, Given, OnRefusal, Operation, RecordError, RecordId, Refusal, RefusalReason,
    SchemaSnapshot, StampedBatch, StorageError, ValidBatch, WriteMode, WriteOptions, WriteReceipt,
    validate, validate_parts,
};

use crate::commands::{Commands, CreatedRecords, IngestReport, OnError, Return};
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::memory::Share;
use crate::once::{Done, Once, Told};

/// What a sink does with records and their errors.
#[derive(Debug, Clone)]
pub(super) struct SinkOptions {
    pub(super) mode: WriteMode,
    pub(super) on_error: OnError,
    pub(super) errors_max: usize,
    pub(super) returning: Return,
    /// Whether the request was an envelope that names the schema.
    pub(super) enveloped: bool,
}

/// One atomic write in the making. The first batch is held back: a request that has no
/// second one is short enough to share a commit with others.
pub(super) struct Sink<'a> {
    commands: &'a Commands,
    ctx: &'a Context,
    schema: Arc<SchemaSnapshot>,
    options: SinkOptions,
    held: Option<StampedBatch>,
    /// What this takes, and what it takes with the one before it, which may still wait for the
    /// engine; nothing where both are kept for the answer.
    held_bytes: usize,
    pending: Share<'a>,
    session: Option<Box<dyn WriteSession>>,
    /// What the session was given last: where it fails at one record, it is looked at again.
    recent: VecDeque<StampedBatch>,
    /// The first value that is taken: nothing will be stored, and the session, which is never
    /// committed, only tells the others.
    taken: Option<UniqueViolation>,
    report: IngestReport,
    stored: Vec<RecordBatch>,
    /// What these take.
    share: Share<'a>,
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
            held_bytes: 0,
            pending: ctx.share(),
            session: None,
            recent: VecDeque::new(),
            taken: None,
            report: IngestReport::default(),
            stored: Vec::new(),
            share: ctx.share(),
        }
    }

    /// How many bytes of a body are to be decoded before the batches are put.
    pub(super) fn piece_bytes(&self) -> usize {
        piece_bytes(&self.schema, self.options.mode.takes_parts())
    }

    /// The schema that the records belong to.
    pub(super) const fn schema(&self) -> &Arc<SchemaSnapshot> {
        &self.schema
    }

    /// Takes one batch from the decoder.
    pub(super) async fn put(&mut self, decoded: DecodedBatch) -> Result<(), Error> {
        self.report.received += decoded.len as u64;
        let (valid, errors) = self.ctx.time(Stage::Validate, || self.check(decoded));
        self.note(errors);
        self.ctx.note(self.report.received, self.report.failed);
        if self.is_lost() && self.taken.is_none() {
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
        match self.options.returning {
            Return::None => {}
            Return::Ids => self.check_returned()?,
            Return::Records if self.taken.is_some() => {
                self.stored = Vec::new();
                self.share.set(0)?;
            }
            Return::Records => self.keep(stamped.records())?,
        }
        if self.knows_ids() {
            self.report.ids.extend(ids);
        }
        if self.options.returning != Return::Records {
            let bytes = bytes_of(stamped.records().columns());
            self.pending.set(self.held_bytes + bytes)?;
            self.held_bytes = bytes;
        }
        match self.held.replace(stamped) {
            Some(earlier) => self.append(earlier).await,
            None => Ok(()),
        }
    }

    /// Ends the write: commits unless an error forbids it. Answers what became of the records
    /// and those that were stored, where they are to be returned.
    pub(super) async fn finish(mut self) -> Result<(IngestReport, Vec<RecordBatch>), Error> {
        if self.taken.is_none() && self.is_lost() {
            self.report.ids = Vec::new();
            return Ok((self.report, Vec::new()));
        }
        let receipt = match (self.held.take(), self.session.is_some()) {
            (Some(only), false) if self.options.mode == WriteMode::Insert => {
                self.execute(only).await?
            }
            (last, _) => {
                if let Some(last) = last {
                    self.append(last).await?;
                }
                if self.taken.is_some() {
                    return Err(self.refused().await);
                }
                match self.commit().await {
                    Err(Error::UniqueViolation(violation)) if self.ends_at_one() => {
                        self.look_again(violation).await?;
                        return Err(self.refused().await);
                    }
                    committed => committed?,
                }
            }
        };
        let report = std::mem::take(&mut self.report);
        let report = self.settle(report, receipt)?;
        let receipt = &report.receipt;
        let changed = receipt.inserted + receipt.updated + receipt.deleted;
        let changed = usize::try_from(changed).unwrap_or(usize::MAX);
        self.ctx.count_records(changed);
        self.share.keep();
        Ok((report, self.stored))
    }

    fn check(&self, mut decoded: DecodedBatch) -> (ValidBatch, Vec<RecordError>) {
        match &self.options.mode {
            WriteMode::Insert | WriteMode::Upsert { .. } | WriteMode::Ignore { .. } => {
                validate(decoded)
            }
            WriteMode::Update { key } => validate_parts(decoded, key),
            WriteMode::Delete { key } => {
                keep_only(key, &mut decoded);
                validate_parts(decoded, key)
            }
        }
    }

    fn is_lost(&self) -> bool {
        self.report.failed > 0 && self.options.on_error == OnError::Abort
    }

    /// Whether the ids to be told are those given here: unless records are left out or meet
    /// others, in which case the engine tells them.
    fn knows_ids(&self) -> bool {
        self.options.returning == Return::Ids
            && self.options.mode == WriteMode::Insert
            && self.options.on_error == OnError::Abort
    }

    fn check_returned(&self) -> Result<(), Error> {
        let most = self.commands.limits.returned_ids_max;
        if self.report.received - self.report.failed <= most as u64 {
            return Ok(());
        }
        let message = format!("return=ids answers with at most {most} ids; send less at a time");
        Err(Error::TooLarge(message))
    }

    /// Keeps records for the answer.
    fn keep(&mut self, records: &RecordBatch) -> Result<(), Error> {
        let most = self.commands.limits.body_bytes_max;
        let bytes = self.share.bytes() + bytes_of(records.columns());
        if bytes > most {
            let message = format!(
                "the records of the answer take more than {most} bytes; send less at a time, or \
                 ask for return=ids"
            );
            return Err(Error::TooLarge(message));
        }
        self.share.set(bytes)?;
        self.stored.push(records.clone());
        Ok(())
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

    /// Puts what the engine did, and what it refused, into the report.
    fn settle(
        &self,
        mut report: IngestReport,
        mut receipt: WriteReceipt,
    ) -> Result<IngestReport, Error> {
        let refusals = std::mem::take(&mut receipt.refusals);
        report.failed += receipt.refused;
        report.errors_truncated |= receipt.refused > refusals.len() as u64;
        report
            .errors
            .extend(refusals.iter().flat_map(Refusal::errors));
        report.errors.sort_by_key(|error| error.index);
        report.errors_truncated |= report.errors.len() > self.options.errors_max;
        report.errors.truncate(self.options.errors_max);
        let is_taken = |reason: &RefusalReason| matches!(reason, RefusalReason::Taken(_));
        if self.options.on_error == OnError::Abort
            && refusals.iter().any(|refusal| is_taken(&refusal.reason))
        {
            let errors = std::mem::take(&mut report.errors);
            return Err(Error::Refused { errors });
        }
        if !self.knows_ids() {
            report.ids = std::mem::take(&mut receipt.ids);
        }
        report.receipt = receipt;
        Ok(report)
    }

    /// The record of the answer to a request with a key, where the write will stand.
    async fn tell(
        &mut self,
        once: &Once,
        receipt: WriteReceipt,
    ) -> Result<Option<(StampedBatch, Option<Told>)>, StorageError> {
        let Ok(report) = self.settle(self.report.clone(), receipt) else {
            return Ok(None);
        };
        if report.failed > 0 && self.options.on_error == OnError::Abort {
            return Ok(None);
        }
        let returning = self.options.returning;
        if !self.options.enveloped {
            let done = Done::Ingested(&report, returning);
            return self.commands.tell(once, done).await.map(Some);
        }
        let created = CreatedRecords {
            schema: Arc::clone(&self.schema),
            created: report.receipt.inserted,
            ids: report.ids,
            records: self.stored.clone(),
        };
        let done = Done::CreatedMany(&created, returning);
        self.commands.tell(once, done).await.map(Some)
    }

    /// What the engine does with records that it must refuse. New records that are all or
    /// none go the fastest way, which ends at the first.
    fn on_refusal(&self) -> OnRefusal {
        let told_max = self.options.errors_max;
        match (self.options.on_error, &self.options.mode) {
            (OnError::Continue, _) => OnRefusal::Skip { told_max },
            (OnError::Abort, WriteMode::Insert) => OnRefusal::Fail,
            (OnError::Abort, _) => OnRefusal::Undo { told_max },
        }
    }

    /// Opens a session. It borrows nothing of the sink, whose own session cannot be shared.
    fn begin(
        &self,
        on_refusal: OnRefusal,
    ) -> impl Future<Output = Result<Box<dyn WriteSession>, Error>> + Send + use<'a> {
        let (commands, ctx, schema) = (self.commands, self.ctx, Arc::clone(&self.schema));
        let options = WriteOptions {
            mode: self.options.mode.clone(),
            on_refusal,
            tells_ids: self.options.returning == Return::Ids && !self.knows_ids(),
            turn_within: ctx.turn_within(),
        };
        async move {
            let begin = commands.writer.begin(&schema, options);
            Ok(ctx.time_async(Stage::Engine, begin).await?)
        }
    }

    async fn append(&mut self, batch: StampedBatch) -> Result<(), Error> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.begin(self.on_refusal()).await?,
        };
        if self.ends_at_one() {
            self.recent.push_back(batch.clone());
            if self.recent.len() > SESSION_BATCHES_MAX {
                self.recent.pop_front();
            }
        }
        let append = session.append(batch);
        match self.ctx.time_async(Stage::Engine, append).await {
            Ok(()) => {
                self.session = Some(session);
                Ok(())
            }
            Err(StorageError::UniqueViolation { violation }) if self.ends_at_one() => {
                drop(session);
                self.look_again(violation).await
            }
            // A session that failed is dropped, and so rolled back.
            Err(error) => Err(error.into()),
        }
    }

    async fn commit(&mut self) -> Result<WriteReceipt, Error> {
        let (mut session, once) = match (self.session.take(), self.ctx.once()) {
            (Some(session), Some(once)) => (session, once),
            (Some(session), None) => {
                let commit = session.commit(Vec::new());
                return Ok(self.ctx.time_async(Stage::Engine, commit).await?);
            }
            (None, _) => return Ok(self.add(Vec::new(), WriteReceipt::default()).await?),
        };
        let settled = self.ctx.time_async(Stage::Engine, session.settle()).await?;
        let Some((record, told)) = self.tell(once, settled).await? else {
            let commit = session.commit(Vec::new());
            return Ok(self.ctx.time_async(Stage::Engine, commit).await?);
        };
        let commit = session.commit(vec![record]);
        let result = self.ctx.time_async(Stage::Engine, commit).await;
        Ok(once.end(result, told)?)
    }

    /// Adds one batch in a commit shared with others. Where one of its values is taken, a
    /// session of its own finds out which, and adds the others if those may stand alone.
    async fn execute(&mut self, batch: StampedBatch) -> Result<WriteReceipt, Error> {
        let done = WriteReceipt {
            inserted: batch.len() as u64,
            ids: self.ids_of(&batch),
            ..WriteReceipt::default()
        };
        let create = vec![Operation::Create(batch.clone())];
        match self.add(create, done).await {
            Ok(done) => Ok(done),
            Err(StorageError::UniqueViolation { .. }) => {
                let told_max = self.options.errors_max;
                let session = self.begin(match self.options.on_error {
                    OnError::Abort => OnRefusal::Undo { told_max },
                    OnError::Continue => OnRefusal::Skip { told_max },
                });
                self.session = Some(session.await?);
                self.append(batch).await?;
                self.commit().await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Carries operations out, which are known to do this, and keeps the answer with them.
    async fn add(
        &mut self,
        mut operations: Vec<Operation>,
        done: WriteReceipt,
    ) -> Result<WriteReceipt, StorageError> {
        let mut answer = None;
        if let Some(once) = self.ctx.once()
            && let Some((record, told)) = self.tell(once, done.clone()).await?
        {
            operations.push(Operation::Create(record));
            answer = Some((once, told));
        }
        if operations.is_empty() {
            return Ok(done);
        }
        let work = self.commands.writer.execute(operations);
        let mut result = self.ctx.time_async(Stage::Engine, work).await;
        if let Some((once, told)) = answer {
            result = once.end(result, told);
        }
        let commit = result?.commit;
        Ok(WriteReceipt { commit, ..done })
    }

    fn ids_of(&self, batch: &StampedBatch) -> Vec<RecordId> {
        if self.options.returning != Return::Ids {
            return Vec::new();
        }
        (0..batch.len()).map(|row| batch.id(row)).collect()
    }
}

/// Leaves the properties of the key alone, since nothing else of a record that only says
/// which one is to go matters.
fn keep_only(key: &[usize], decoded: &mut DecodedBatch) {
    let given = decoded.given.iter_mut().flatten();
    for (position, given) in given.enumerate() {
        if !key.contains(&position) {
            *given = Given::None;
            let array = &mut decoded.properties[position];
            *array = new_null_array(array.data_type(), decoded.len);
        }
    }
}
