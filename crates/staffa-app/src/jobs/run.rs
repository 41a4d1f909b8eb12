//! One job from its place in the queue to its end.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use staffa_domain::error::{Unavailable, UniqueViolation};
use staffa_domain::ports::{SchemaChange, SpoolPart, Spooled};
use staffa_domain::{
    Operation, RecordError, RecordId, Refusal, RefusalReason, StampedBatch, StorageError,
};

use super::record;
use super::{End, Head, IngestRequest, JobRequest, JobState, Live, Place, Tally};
use crate::body::{BodyError, ByteStream};
use crate::commands::Commands;
use crate::context::Context;
use crate::error::{Error, panic_text};
use crate::once::{Done, Once};

/// How often a run is tried again when the engine could not carry it out at the moment.
const RUNS_MAX: u32 = 8;
/// How long is waited before the first of these.
const PAUSE: Duration = Duration::from_millis(200);
/// How often it is looked whether a job was accepted whose request broke off.
const LOOKS: u32 = 10;

/// A job that is accepted, or may be: it runs once this is dropped, unless it is called off.
pub(crate) struct Launch {
    commands: Commands,
    place: Option<Place>,
    live: Arc<Live>,
    is_stored: bool,
}

impl Launch {
    /// The job of a record that is about to be stored, with what it does to a schema.
    pub(crate) fn new(
        commands: &Commands,
        place: Place,
        (head, change): (Head, Option<SchemaChange>),
    ) -> Self {
        Self {
            commands: commands.clone(),
            live: place.enter(head, change),
            place: Some(place),
            is_stored: false,
        }
    }

    /// The record is stored.
    pub(crate) fn go(mut self) {
        self.is_stored = true;
    }

    /// The record is not stored, so there is no job.
    pub(crate) async fn call_off(mut self) {
        self.commands.forget_files(self.live.id()).await;
        self.place = None;
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else {
            return;
        };
        let (commands, live) = (self.commands.clone(), Arc::clone(&self.live));
        let is_stored = self.is_stored;
        let jobs = Arc::clone(&commands.jobs);
        // After the last of them the tracker is closed.
        jobs.tasks.spawn(async move {
            if is_stored || commands.is_accepted(&live).await {
                commands.run_job(&live).await;
            } else {
                commands.forget_files(live.id()).await;
            }
            drop(place);
        });
    }
}

/// What came of a run.
enum Run {
    /// The job has ended; here, or before by another hand.
    Ended,
    /// It may go better later.
    Again(Error),
    /// It was given up, to be run by the next process.
    Cut,
}

impl Commands {
    /// Whether a job whose request broke off was accepted all the same.
    async fn is_accepted(&self, live: &Live) -> bool {
        for _ in 0..LOOKS {
            let found = record::find(&self.catalog, &*self.reader, live.id()).await;
            if matches!(found, Ok(Some(_))) {
                return true;
            }
            tokio::time::sleep(PAUSE).await;
        }
        false
    }

    async fn run_job(&self, live: &Arc<Live>) {
        let permit = tokio::select! {
            biased;
            () = live.cancelled.cancelled() => return self.forget_files(live.id()).await,
            () = self.jobs.draining.cancelled() => return,
            permit = self.jobs.running.acquire() => permit,
        };
        match self.run_until_it_ends(live).await {
            Run::Ended => {
                live.set_ended();
                self.settle_ended(live).await;
            }
            Run::Cut => {}
            Run::Again(error) => {
                let job = live.id();
                tracing::error!(%job, %error, "the job could not be ended; it is tried again later");
            }
        }
        drop(permit);
    }

    /// Looks after the files of a job that has ended, unless it is removed, or the process ends:
    /// the next one looks after them then.
    async fn settle_ended(&self, live: &Live) {
        let settled = tokio::select! {
            biased;
            () = live.removed.cancelled() => return,
            () = self.jobs.cut.cancelled() => return,
            settled = self.settle_files(live.id()) => settled,
        };
        if let Err(error) = settled {
            let job = live.id();
            tracing::warn!(%job, %error, "the files of the job are looked after later");
        }
    }

    async fn run_until_it_ends(&self, live: &Arc<Live>) -> Run {
        let mut runs = 0;
        loop {
            let run = tokio::select! {
                biased;
                // Whoever cancels it has stored its end.
                () = live.cancelled.cancelled() => Run::Ended,
                () = self.jobs.cut.cancelled() => Run::Cut,
                run = Box::pin(self.run_once(live, runs + 1 == RUNS_MAX)) => run,
            };
            runs += 1;
            match run {
                Run::Again(error) if runs < RUNS_MAX => {
                    tracing::warn!(job = %live.id(), %error, "the job is run again");
                    tokio::select! {
                        () = live.cancelled.cancelled() => {}
                        () = self.jobs.cut.cancelled() => {}
                        () = tokio::time::sleep(PAUSE * 2_u32.pow(runs - 1)) => {}
                    }
                }
                run => return run,
            }
        }
    }

    /// Runs it; `is_last` where an error that may pass is its end all the same.
    async fn run_once(&self, live: &Arc<Live>, is_last: bool) -> Run {
        let work = async {
            match &live.head.request {
                JobRequest::Ingest(request) => self.try_job(live, request).await,
                JobRequest::Change(request) => self.try_change(live, request).await,
            }
        };
        let run = AssertUnwindSafe(work).catch_unwind();
        let run = run.await.unwrap_or_else(|panic| {
            // Whatever it was about to store is rolled back with it.
            let text = panic_text(panic.as_ref());
            Err(StorageError::internal(format!("the run of a job panicked: {text}")).into())
        });
        match run {
            Ok(()) => Run::Ended,
            // The next process may do better.
            Err(Error::Storage(StorageError::Unavailable(Unavailable::Draining))) => Run::Cut,
            Err(error) if live.may_run_again(&error) && !is_last => Run::Again(error),
            Err(error) => match self.end_failed(live, error).await {
                Ok(()) => Run::Ended,
                Err(error) => Run::Again(error),
            },
        }
    }

    async fn try_job(&self, live: &Arc<Live>, request: &IngestRequest) -> Result<(), Error> {
        let progress = live.start(self.clock.now());
        self.tell_progress(live).await;
        let Some(spooled) = self.jobs.spool.open(live.id(), SpoolPart::Body).await? else {
            let end = live.end(JobState::Interrupted, Tally::default());
            return self.store_end(live.id(), &end).await.map(drop);
        };
        let fault = Fault::default();
        let request = request.ingest(read(live, spooled, &fault))?;
        let ctx = Context::new(format!("job {}", live.id()));
        ctx.set_progress(progress);
        ctx.set_once(Once::of_job(live.id(), Arc::clone(live)));
        let done = self.ingest_records(&ctx, request).await;
        if ctx.once().is_some_and(Once::is_over) {
            return Ok(());
        }
        let failed = match done {
            Ok(report) => (Tally::of(&report), report.errors, None),
            Err(Error::Body(BodyError::Lost)) => return Err(fault.take()),
            Err(
                error @ (Error::Invalid { .. } | Error::Refused { .. } | Error::UniqueViolation(_)),
            ) => {
                let errors = errors_of(&error);
                let tally = Tally {
                    failed: count_records(&errors),
                    ..live.started().tally()
                };
                (tally, errors, Some((self.jobs.tell_failure)(error)))
            }
            Err(error) => return Err(error),
        };
        let (tally, errors, failure) = failed;
        self.write_causes(live.id(), &errors).await?;
        let end = End {
            failure,
            has_errors: !errors.is_empty(),
            ..live.end(JobState::Failed, tally)
        };
        self.store_end(live.id(), &end).await.map(drop)
    }

    /// The record of the end of a job whose write is about to be committed.
    pub(crate) async fn tell_end(
        &self,
        live: &Live,
        done: Done<'_>,
    ) -> Result<StampedBatch, StorageError> {
        let Done::Ingested(report, _) = done else {
            return Err(StorageError::internal("a job that is no bulk write"));
        };
        self.write_causes(live.id(), &report.errors).await?;
        let tally = Tally::of(report);
        let end = End {
            has_errors: !report.errors.is_empty(),
            ..live.end(tally.state(), tally)
        };
        end.write((live.id(), self.clock.now()))
    }

    async fn end_failed(&self, live: &Live, error: Error) -> Result<(), Error> {
        let tally = live.started().tally();
        let end = End {
            failure: Some((self.jobs.tell_failure)(error)),
            ..live.end(JobState::Failed, tally)
        };
        self.store_end(live.id(), &end).await.map(drop)
    }

    /// Stores the end of a job; false where it had one before.
    pub(crate) async fn store_end(&self, id: RecordId, end: &End) -> Result<bool, Error> {
        let mut tries = RUNS_MAX;
        loop {
            tries -= 1;
            let record = end.write((id, self.clock.now()))?;
            match self.writer.execute(vec![Operation::Create(record)]).await {
                Ok(_) => return Ok(true),
                Err(StorageError::UniqueViolation { .. }) => return Ok(false),
                Err(error) => {
                    let error = Error::from(error);
                    // As when another end of it is being stored.
                    if tries == 0 || !error.is_retryable() {
                        return Err(error);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Lets other servers know how far a job is, and that this one has it.
    pub(super) async fn tell_progress(&self, live: &Live) {
        let mut version = live.version.lock().await;
        let head = live.next_head(*version, self.clock.now());
        let told = match head.write() {
            Ok(batch) => {
                let expected = *version;
                let replace = vec![Operation::Replace { batch, expected }];
                self.writer.execute(replace).await.map(drop)
            }
            Err(error) => Err(error),
        };
        match told {
            Ok(()) => *version += 1,
            // The job itself tells whether that matters.
            Err(error) => tracing::debug!(job = %live.id(), %error, "its progress is not told"),
        }
    }
}

impl Live {
    /// Whether a failure may be over at the next run. A change is made from one version of its
    /// schema, so that only what concerns the engine as a whole passes.
    fn may_run_again(&self, error: &Error) -> bool {
        let is_unavailable = matches!(error, Error::Storage(StorageError::Unavailable(_)));
        let is_change = matches!(self.head.request, JobRequest::Change(_));
        error.is_retryable() && (is_unavailable || !is_change)
    }

    /// An end, as far as the job has come.
    pub(crate) fn end(&self, state: JobState, tally: Tally) -> End {
        End::new(state, self.started(), tally)
    }

    /// The end of a job that is cancelled now.
    pub(crate) fn cancelled_end(&self) -> End {
        self.end(JobState::Cancelled, self.started().tally())
    }
}

/// Why a spooled body could not be read.
#[derive(Debug, Clone, Default)]
struct Fault(Arc<Mutex<Option<StorageError>>>);

impl Fault {
    fn take(&self) -> Error {
        let mut fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = fault.take();
        let unknown = || StorageError::internal("a body that cannot be read");
        fault.unwrap_or_else(unknown).into()
    }
}

/// The body, of which the job counts what is read.
fn read(live: &Live, spooled: Spooled, fault: &Fault) -> ByteStream {
    let (count, fault) = (Arc::clone(&live.bytes_read), fault.clone());
    let pieces = spooled.pieces.map(move |piece| match piece {
        Ok(piece) => {
            count.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok(Bytes::from(piece))
        }
        Err(error) => {
            *fault.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            Err(BodyError::Lost)
        }
    });
    Box::pin(pieces)
}

fn errors_of(error: &Error) -> Vec<RecordError> {
    match error {
        Error::Invalid { errors } | Error::Refused { errors } => errors.clone(),
        Error::UniqueViolation(UniqueViolation {
            index: Some(index),
            line,
            properties,
        }) => {
            let refusal = Refusal {
                index: *index,
                line: *line,
                reason: RefusalReason::Taken(properties.clone()),
            };
            refusal.errors()
        }
        _ => Vec::new(),
    }
}

/// How many records errors are of, which are in the order of the records.
fn count_records(errors: &[RecordError]) -> u64 {
    let places = errors.chunk_by(|one, next| one.index == next.index);
    places.count() as u64
}
