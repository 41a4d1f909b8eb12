//! Jobs: their ends, their error files, cancelling them, and what a restart makes of them.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use serde_json::{Value as Json, json};

use staffa_app::{BodyError, ByteStream, Error, IngestRecords, Job, JobState, OnError, Return};
use staffa_codec::decode::InputFormat;
use staffa_domain::error::Unavailable;
use staffa_domain::ports::{Spool as _, SpoolPart};
use staffa_domain::{RecordId, StorageError};
use staffa_testkit::MemorySpool;

use crate::app::{self, App, body, ctx, cut_body};
use crate::watched::{Doing, Watched};

const LONG: Duration = Duration::from_secs(60);
const DAY: i64 = 24 * 3_600_000_000;

fn request(text: &str, on_error: OnError) -> IngestRecords {
    asked(body(text), on_error)
}

fn asked(body: ByteStream, on_error: OnError) -> IngestRecords {
    IngestRecords {
        errors_max: 3,
        ..app::ingest(body, on_error)
    }
}

impl App {
    async fn start(&self, text: &str, on_error: OnError) -> RecordId {
        let job = self
            .commands
            .start_job(&ctx(), request(text, on_error))
            .await;
        let job = job.unwrap();
        assert_eq!(
            (job.state, job.bytes),
            (JobState::Queued, text.len() as u64)
        );
        job.id
    }

    pub(crate) async fn job(&self, id: RecordId) -> Job {
        self.queries
            .get_job(&ctx(), id, Duration::ZERO)
            .await
            .unwrap()
    }

    /// The job once it is over.
    pub(crate) async fn ended(&self, id: RecordId) -> Job {
        let job = self.queries.get_job(&ctx(), id, LONG).await.unwrap();
        assert!(job.state.is_end(), "{job:?}");
        job
    }

    /// The lines of its error file.
    async fn errors(&self, id: RecordId) -> Vec<Json> {
        let lines = self.queries.read_job_errors(&ctx(), id).await.unwrap();
        let pieces: Vec<_> = lines.pieces.try_collect().await.unwrap();
        let text = pieces.concat();
        assert_eq!(text.len() as u64, lines.bytes);
        let text = String::from_utf8(text).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    async fn is_gone(&self, id: RecordId) -> bool {
        let found = self.queries.get_job(&ctx(), id, Duration::ZERO).await;
        matches!(found, Err(Error::JobNotFound))
    }

    /// The files that are left.
    async fn files(&self) -> Vec<SpoolPart> {
        let files = self.spool.list().await.unwrap();
        files.into_iter().map(|(_, part, _)| part).collect()
    }
}

fn many(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, r#"{{"reference": "A-{n}"}}"#);
        text
    })
}

/// Waits until a job has read all that its spool gives.
async fn until_it_stands(app: &App, id: RecordId) -> Job {
    loop {
        let job = app.job(id).await;
        if job.bytes_read > 0 {
            return job;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_job_ends_with_everything_stored() {
    let app = App::new().await;
    let id = app.start(&many(20_000), OnError::Abort).await;
    let job = app.ended(id).await;
    assert_eq!(job.state, JobState::Succeeded);
    assert_eq!((job.tally.received, job.tally.inserted), (20_000, 20_000));
    assert_eq!(job.bytes_read, job.bytes);
    assert!(job.started_at.is_some() && job.finished_at.is_some());
    assert_eq!(app.count("orders").await, 20_000);
    assert_eq!(app.errors(id).await, [json!(null); 0]);
    assert_eq!(app.files().await, []);
}

#[tokio::test]
async fn failed_records_are_told_with_themselves() {
    let text = "{\"reference\": \"A\"}\n{\"reference\": \"B\", \"quantity\": \"x\"}\n\nnonsense\n";
    for (on_error, state, inserted) in [
        (OnError::Continue, JobState::Partial, 1),
        (OnError::Abort, JobState::Failed, 0),
    ] {
        let app = App::new().await;
        let id = app.start(text, on_error).await;
        let job = app.ended(id).await;
        assert_eq!((job.state, job.tally.received), (state, 3));
        assert_eq!((job.tally.inserted, job.tally.failed), (inserted, 2));
        assert_eq!(app.count("orders").await as u64, inserted);
        let errors = app.errors(id).await;
        let shown: Vec<_> = errors
            .iter()
            .map(|line| (&line["index"], &line["line"], &line["code"], &line["row"]))
            .map(|(index, line, code, row)| json!([index, line, code, row]))
            .collect();
        assert_eq!(
            shown,
            [
                json!([1, 2, "type_mismatch", {"reference": "B", "quantity": "x"}]),
                json!([2, 4, "malformed", "nonsense"]),
            ]
        );
        assert_eq!(app.files().await, [SpoolPart::Errors]);
    }
}

#[tokio::test]
async fn what_the_engine_refuses_is_told_too() {
    let app = App::new().await;
    app.create(r#"{"reference": "A-1"}"#).await;
    let id = app.start(&many(3), OnError::Abort).await;
    let job = app.ended(id).await;
    assert_eq!((job.state, job.tally.failed), (JobState::Failed, 1));
    assert!(job.failure.is_some());
    let errors = app.errors(id).await;
    assert_eq!(errors[0]["code"], "unique_violation");
    assert_eq!(errors[0]["row"], json!({"reference": "A-1"}));
    let id = app.start(&many(9_000), OnError::Continue).await;
    let job = app.ended(id).await;
    assert_eq!((job.state, job.tally.inserted), (JobState::Partial, 8_999));
    assert_eq!(app.errors(id).await[0]["row"], json!({"reference": "A-1"}));
}

#[tokio::test]
async fn a_body_that_cannot_be_read_fails_as_a_whole() {
    let app = App::new().await;
    let request = IngestRecords {
        format: InputFormat::Json,
        ..request("[{\"reference\": \"A\"}", OnError::Continue)
    };
    let job = app.commands.start_job(&ctx(), request).await.unwrap();
    let job = app.ended(job.id).await;
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(job.failure.unwrap().code, "told");
    assert_eq!(app.count("orders").await, 0);
}

#[tokio::test]
async fn what_can_be_known_at_once_is_refused_at_once() {
    let app = App::new().await;
    let with = |change: fn(&mut IngestRecords)| {
        let mut request = request("{}", OnError::Abort);
        change(&mut request);
        request
    };
    let request = with(|request| request.schema = "nope".to_owned());
    let error = app.commands.start_job(&ctx(), request).await.unwrap_err();
    assert!(matches!(error, Error::SchemaNotFound(_)), "{error:?}");
    let request = with(|request| request.returning = Return::Ids);
    let error = app.commands.start_job(&ctx(), request).await.unwrap_err();
    assert!(matches!(error, Error::Question(_)), "{error:?}");
    let request = asked(cut_body("{}"), OnError::Abort);
    let error = app.commands.start_job(&ctx(), request).await.unwrap_err();
    assert!(
        matches!(error, Error::Body(BodyError::Disconnected)),
        "{error:?}"
    );
    assert_eq!(app.files().await, []);
}

#[tokio::test]
async fn more_jobs_or_bytes_than_may_wait_are_refused() {
    let app = App::new().await;
    app.spool.let_read(0);
    // One that runs and one that waits.
    let first = app.start(&many(1), OnError::Abort).await;
    let second = app.start(&many(2), OnError::Continue).await;
    let third = app
        .commands
        .start_job(&ctx(), request("{}", OnError::Abort))
        .await;
    let error = third.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Storage(StorageError::Unavailable(Unavailable::Overloaded))
        ),
        "{error:?}"
    );
    app.spool.let_read(u64::MAX);
    assert_eq!(app.ended(first).await.state, JobState::Succeeded);
    assert_eq!(app.ended(second).await.state, JobState::Partial);
    let long = " ".repeat((1 << 20) + 1);
    let long = app
        .commands
        .start_job(&ctx(), request(&long, OnError::Abort))
        .await;
    let error = long.unwrap_err();
    assert!(
        matches!(error, Error::Body(BodyError::TooLarge { .. })),
        "{error:?}"
    );
    // The room of all of them is free again.
    assert_eq!(app.commands.jobs().count(), (0, 0));
    let fits = " ".repeat(1 << 20);
    let id = app.start(&fits, OnError::Abort).await;
    assert_eq!(app.ended(id).await.state, JobState::Succeeded);
}

#[tokio::test]
async fn a_cancelled_job_stores_nothing() {
    let app = App::new().await;
    app.spool.let_read(300);
    let running = app.start(&many(30_000), OnError::Abort).await;
    let waiting = app.start(&many(1), OnError::Abort).await;
    let job = until_it_stands(&app, running).await;
    assert_eq!(job.state, JobState::Running);
    let error = app.queries.read_job_errors(&ctx(), running).await;
    assert!(matches!(error, Err(Error::JobUnderWay)), "{error:?}");
    for id in [waiting, running] {
        let job = app.commands.cancel_job(&ctx(), id).await.unwrap().unwrap();
        assert_eq!(job.state, JobState::Cancelled);
        assert_eq!(app.job(id).await, job);
    }
    assert_eq!(app.count("orders").await, 0);
    assert_eq!(app.files().await, []);
    // A second time removes it.
    let removed = app.commands.cancel_job(&ctx(), running).await.unwrap();
    assert_eq!(removed, None);
    assert!(app.is_gone(running).await);
    let error = app.commands.cancel_job(&ctx(), running).await;
    assert!(matches!(error, Err(Error::JobNotFound)), "{error:?}");
}

/// An app whose spool gives nothing more of any body once the end of a job is stored.
async fn held_up_at_the_end() -> App {
    let spool = MemorySpool::default();
    let held = spool.clone();
    let watch = move |schema: &str, doing| {
        if schema == "_job_ends" && doing == Doing::Done {
            held.let_read(0);
        }
    };
    App::with_writer_over(spool, |inner| Watched::new(inner, watch)).await
}

#[tokio::test]
async fn a_job_has_ended_once_its_end_is_stored() {
    let app = held_up_at_the_end().await;
    let id = app.start("{}\n", OnError::Abort).await;
    let job = loop {
        let job = app.job(id).await;
        if job.state.is_end() {
            break job;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((job.state, job.tally.failed), (JobState::Failed, 1));
    // Who asks for its errors gets them whole.
    let errors = async { app.errors(id).await };
    let let_on = async { app.spool.let_read(u64::MAX) };
    let (errors, ()) = tokio::join!(errors, let_on);
    assert_eq!(errors[0]["row"], json!({}));
}

#[tokio::test]
async fn a_job_is_removed_while_its_failed_records_are_looked_up() {
    let app = held_up_at_the_end().await;
    let id = app.start("{}\n", OnError::Abort).await;
    while !app.job(id).await.state.is_end() {
        tokio::task::yield_now().await;
    }
    let context = ctx();
    let removed = tokio::time::timeout(LONG, app.commands.cancel_job(&context, id)).await;
    assert_eq!(removed.expect("it waits for nothing").unwrap(), None);
    assert!(app.is_gone(id).await);
    assert_eq!(app.files().await, []);
    assert_eq!(app.commands.jobs().count(), (0, 0));
}

#[tokio::test]
async fn a_job_whose_run_panics_fails() {
    let watch = |schema: &str, doing| {
        let is_begun = schema == "orders" && matches!(doing, Doing::Begin(_));
        assert!(!is_begun, "out of order");
    };
    let app =
        App::with_writer_over(MemorySpool::default(), |inner| Watched::new(inner, watch)).await;
    let id = app.start(&many(20_000), OnError::Abort).await;
    let job = app.ended(id).await;
    assert_eq!(job.state, JobState::Failed);
    let failure = job.failure.unwrap();
    assert_eq!(failure.detail, "the engine failed");
    assert_eq!(app.count("orders").await, 0);
    assert_eq!(app.files().await, []);
    assert_eq!(app.commands.jobs().count(), (0, 0));
    // The others are run.
    let next = app.start(&many(1), OnError::Abort).await;
    assert_eq!(app.ended(next).await.state, JobState::Succeeded);
}

#[tokio::test]
async fn a_job_waits_for_its_turn_and_a_request_only_so_long() {
    let begun = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&begun);
    let watch = move |_: &str, doing| {
        if let Doing::Begin(within) = doing {
            seen.lock().unwrap().push(within);
        }
    };
    let app = App::with_writer_over(MemorySpool::default(), |inner| Watched::new(inner, watch));
    let app = app.await;
    let id = app.start(&many(20_000), OnError::Abort).await;
    assert_eq!(app.ended(id).await.state, JobState::Succeeded);
    let patience = Duration::from_secs(7);
    let asked = ctx().taking_turns_within(patience);
    let more = many(20_000).replace("A-", "B-");
    let more = app
        .commands
        .ingest_records(&asked, request(&more, OnError::Abort));
    assert_eq!(more.await.unwrap().receipt.inserted, 20_000);
    assert_eq!(*begun.lock().unwrap(), [None, Some(patience)]);
}

#[tokio::test]
async fn another_server_tells_a_job_and_cancels_it() {
    let app = App::new().await;
    app.spool.let_read(1);
    let id = app.start(&many(1_000), OnError::Abort).await;
    until_it_stands(&app, id).await;
    let other = app.beside(MemorySpool::named("other")).await;
    assert_eq!(other.job(id).await.state, JobState::Running);
    let job = other
        .commands
        .cancel_job(&ctx(), id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(job.state, JobState::Cancelled);
    // Its own server finds out at its commit.
    app.spool.let_read(u64::MAX);
    assert_eq!(app.ended(id).await.state, JobState::Cancelled);
    assert_eq!(app.count("orders").await, 0);
    assert_eq!(app.files().await, []);
}

#[tokio::test]
async fn errors_are_with_the_server_that_ran_the_job() {
    let app = App::new().await;
    let id = app.start("{}\n", OnError::Abort).await;
    app.ended(id).await;
    let other = app.beside(MemorySpool::named("other")).await;
    assert_eq!(other.job(id).await.state, JobState::Failed);
    let error = other.queries.read_job_errors(&ctx(), id).await;
    assert!(matches!(error, Err(Error::JobErrorsElsewhere)), "{error:?}");
}

#[tokio::test]
async fn what_a_process_leaves_is_run_by_the_next_one() {
    let app = App::new().await;
    app.spool.let_read(1);
    let running = app.start(&many(5_000), OnError::Abort).await;
    let waiting = app.start("{\"reference\": \"B\"}", OnError::Abort).await;
    until_it_stands(&app, running).await;
    // It is given no time at all.
    app.commands.drain_jobs(Duration::ZERO).await;
    let refused = app
        .commands
        .start_job(&ctx(), request("{}", OnError::Abort))
        .await;
    assert!(refused.is_err());
    assert_eq!(app.count("orders").await, 0);
    app.spool.let_read(u64::MAX);
    let next = app.restarted().await;
    assert_eq!(next.job(running).await.state, JobState::Running);
    next.commands.adopt_jobs().await.unwrap();
    next.commands.adopt_jobs().await.unwrap();
    for id in [running, waiting] {
        assert_eq!(next.ended(id).await.state, JobState::Succeeded);
    }
    assert_eq!(next.count("orders").await, 5_001);
    assert_eq!(next.files().await, []);
}

#[tokio::test]
async fn a_job_whose_end_is_stored_is_not_run_again() {
    let app = App::new().await;
    let id = app
        .start("{\"reference\": \"A\"}\n{}\n", OnError::Continue)
        .await;
    app.ended(id).await;
    // The process died between its commit and the look for the records.
    let errors = app.errors(id).await;
    app.spool.lose(id, SpoolPart::Errors);
    let mut file = app.spool.create(id, SpoolPart::Body).await.unwrap();
    file.write(b"{\"reference\": \"A\"}\n{}\n").await.unwrap();
    file.finish().await.unwrap();
    let mut line = errors[0].clone();
    line.as_object_mut().unwrap().shift_remove("row");
    let mut file = app.spool.create(id, SpoolPart::Causes).await.unwrap();
    file.write(format!("{line}\n").as_bytes()).await.unwrap();
    file.finish().await.unwrap();
    let next = app.restarted().await;
    assert_eq!(next.errors(id).await, [line]);
    next.commands.adopt_jobs().await.unwrap();
    assert_eq!(next.errors(id).await, errors);
    assert_eq!(next.job(id).await.state, JobState::Partial);
    assert_eq!(next.count("orders").await, 1);
    assert_eq!(next.files().await, [SpoolPart::Errors]);
}

#[tokio::test]
async fn a_job_without_its_body_is_interrupted() {
    let app = App::new().await;
    app.spool.let_read(1);
    let id = app.start(&many(1_000), OnError::Abort).await;
    until_it_stands(&app, id).await;
    app.commands.drain_jobs(Duration::ZERO).await;
    app.spool.lose(id, SpoolPart::Body);
    let next = app.restarted().await;
    next.commands.adopt_jobs().await.unwrap();
    assert_eq!(next.job(id).await.state, JobState::Interrupted);
    assert_eq!(next.count("orders").await, 0);
}

#[tokio::test]
async fn a_job_whose_server_is_gone_is_interrupted_after_a_while() {
    let app = App::new().await;
    app.spool.let_read(1);
    let id = app.start(&many(1_000), OnError::Abort).await;
    until_it_stands(&app, id).await;
    app.commands.drain_jobs(Duration::ZERO).await;
    let other = app.beside(MemorySpool::named("other")).await;
    other.commands.adopt_jobs().await.unwrap();
    assert_eq!(other.job(id).await.state, JobState::Running);
    other.clock.advance_micros(11 * 60_000_000);
    other.commands.adopt_jobs().await.unwrap();
    assert_eq!(other.job(id).await.state, JobState::Interrupted);
    // If it comes back all the same, it finds the end.
    app.spool.let_read(u64::MAX);
    let late = app.restarted().await;
    late.commands.adopt_jobs().await.unwrap();
    assert_eq!(late.job(id).await.state, JobState::Interrupted);
    assert_eq!(late.count("orders").await, 0);
    assert_eq!(late.files().await, []);
}

#[tokio::test]
async fn old_jobs_are_let_go_with_their_files() {
    let app = App::new().await;
    assert_eq!(app.commands.sweep_jobs().await.unwrap(), 0);
    let early = app.start("{}", OnError::Abort).await;
    app.ended(early).await;
    app.clock.advance_micros(6 * DAY);
    let late = app.start("{}", OnError::Abort).await;
    app.ended(late).await;
    assert_eq!(app.commands.sweep_jobs().await.unwrap(), 0);
    app.clock.advance_micros(DAY + 1);
    assert_eq!(app.commands.sweep_jobs().await.unwrap(), 1);
    assert!(app.is_gone(early).await);
    assert_eq!(app.job(late).await.state, JobState::Failed);
    assert_eq!(app.files().await, [SpoolPart::Errors]);
}

#[tokio::test]
async fn files_without_a_job_are_removed() {
    let app = App::new().await;
    let orphan = staffa_testkit::nth_id(7_777);
    let file = app.spool.create(orphan, SpoolPart::Body).await.unwrap();
    file.finish().await.unwrap();
    app.commands.adopt_jobs().await.unwrap();
    assert_eq!(app.files().await, []);
}
