//! A streamed body: all or nothing, or the good records; and bodies that never end.

use std::fmt::Write as _;

use staffa_app::{BodyError, ByteStream, Error, IngestReport, OnError};

use crate::app::{self, App, body, ctx, cut_body};

const MIXED: &str = r#"{"reference": "A"}
{"reference": "B", "quantity": "x"}
{"reference": "C"}
{"quantity": 1}
"#;

async fn ingest(app: &App, body: ByteStream, on_error: OnError) -> Result<IngestReport, Error> {
    let request = app::ingest(body, on_error);
    app.commands.ingest_records(&ctx(), request).await
}

/// More records than one batch takes.
fn many(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, r#"{{"reference": "A-{n}", "quantity": {n}}}"#);
        text
    })
}

#[tokio::test]
async fn abort_stores_nothing_and_reports_all() {
    let app = App::new().await;
    let report = ingest(&app, body(MIXED), OnError::Abort).await.unwrap();
    let errors: Vec<_> = report
        .errors
        .iter()
        .map(|e| (e.index, e.line, e.pointer.as_str()))
        .collect();
    assert_eq!(
        errors,
        [(1, Some(2), "/quantity"), (3, Some(4), "/reference")]
    );
    assert_eq!(
        (report.received, report.failed, report.receipt.inserted),
        (4, 2, 0)
    );
    assert!(!report.errors_truncated);
    assert_eq!(app.count("orders").await, 0);
}

#[tokio::test]
async fn continue_stores_the_good_ones() {
    let app = App::new().await;
    let report = ingest(&app, body(MIXED), OnError::Continue).await.unwrap();
    assert_eq!(
        (report.received, report.failed, report.receipt.inserted),
        (4, 2, 2)
    );
    assert_eq!(app.count("orders").await, 2);
}

#[tokio::test]
async fn errors_beyond_the_limit_are_counted_only() {
    let app = App::new().await;
    let text = "{}\n".repeat(12);
    let report = ingest(&app, body(&text), OnError::Continue).await.unwrap();
    assert_eq!(
        (report.failed, report.errors.len(), report.errors_truncated),
        (12, 10, true)
    );
}

#[tokio::test]
async fn a_long_body_is_one_write() {
    let app = App::new().await;
    let text = many(40_000);
    let late = format!("{text}{{}}\n");
    let report = ingest(&app, whole_body(&late), OnError::Abort)
        .await
        .unwrap();
    assert_eq!((report.failed, report.errors[0].index), (1, 40_000));
    assert_eq!(app.count("orders").await, 0);
    let error = ingest(&app, cut_body(&text), OnError::Abort)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Body(BodyError::Disconnected)),
        "{error:?}"
    );
    assert_eq!(app.count("orders").await, 0);
    let report = ingest(&app, whole_body(&text), OnError::Abort)
        .await
        .unwrap();
    assert_eq!(report.receipt.inserted, 40_000);
    assert_eq!(app.count("orders").await, 40_000);
}

/// A body in one piece.
fn whole_body(text: &str) -> ByteStream {
    let whole = bytes::Bytes::copy_from_slice(text.as_bytes());
    Box::pin(futures_util::stream::iter([Ok(whole)]))
}

#[tokio::test]
async fn a_line_that_is_no_json_is_one_failed_record() {
    let text = "{\"reference\": \"A\"}\n{\"reference\": \"B\"";
    for (on_error, stored) in [(OnError::Abort, 0), (OnError::Continue, 1)] {
        let app = App::new().await;
        let report = ingest(&app, body(text), on_error).await.unwrap();
        assert_eq!((report.failed, report.errors[0].line), (1, Some(2)));
        assert_eq!(app.count("orders").await, stored);
    }
}
