//! What the decorators record, over the engine in memory and over one that always fails.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use staffa_domain::error::{Unavailable, UniqueViolation};
use staffa_domain::ports::{EngineMonitor, EngineState, Gauge, RecordStream, Storage};
use staffa_domain::ports::{RecordReader, SchemaChange};
use staffa_domain::query::Aggregate;
use staffa_domain::{Count, Filter, Operation as Change, RecordId, RecordQuery};
use staffa_domain::{SchemaSnapshot, StampedBatch, StorageError, WriteMode};
use staffa_testkit::schemas::orders;
use staffa_testkit::{MemoryEngine, builders, nth_id, row};

use super::ending::Ending;
use super::metered_in;
use super::stream::BatchResult;
use crate::metrics::Metrics;

/// A measured engine that holds the schema `orders`, and its figures.
fn open() -> (Storage, Metrics) {
    let metrics = Metrics::detached();
    let storage = metered_in(MemoryEngine::open(), metrics.registry());
    let create = SchemaChange::Create {
        to: orders(),
        document: String::new(),
    };
    now(storage.catalog.apply(create)).unwrap();
    (storage, metrics)
}

/// The answer of a future that does not wait for anything.
#[track_caller]
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("it answers at once")
}

fn some_orders(first: u64, count: u64) -> StampedBatch {
    let rows = (first..first + count)
        .map(|number| row! { reference: format!("A-{number}"), quantity: 1 })
        .collect();
    builders::batch(&orders(), first, rows)
}

/// The endings recorded so far of one operation, with how often each came.
#[track_caller]
fn check_endings(metrics: &Metrics, port: &str, operation: &str, expected: &[(&str, u64)]) {
    let start = format!(
        "staffa_port_operation_duration_seconds_count{{port=\"{port}\",operation=\"{operation}\",outcome=\""
    );
    let text = metrics.render();
    let mut endings: Vec<(&str, u64)> = text
        .lines()
        .filter_map(|line| line.strip_prefix(&start)?.split_once("\"} "))
        .map(|(ending, count)| (ending, count.parse().unwrap()))
        .filter(|(_, count)| *count > 0)
        .collect();
    endings.sort_unstable();
    assert_eq!(endings, expected, "{port} {operation}");
}

#[track_caller]
fn check_records(metrics: &Metrics, port: &str, operation: &str, expected: u64) {
    let name = format!("staffa_port_records_total{{port=\"{port}\",operation=\"{operation}\"}}");
    let line = format!("{name} {expected}");
    let text = metrics.render();
    assert!(
        text.lines().any(|l| l == line),
        "no line {line:?} in\n{text}"
    );
}

#[test]
fn every_ending_has_a_label_of_its_own() {
    let violation = UniqueViolation {
        line: None,
        index: None,
        properties: Vec::new(),
    };
    let schema = || "orders".to_owned();
    let errors = [
        StorageError::SchemaNotFound { schema: schema() },
        StorageError::SchemaMoved { schema: schema() },
        StorageError::RecordNotFound { operation: 0 },
        StorageError::VersionMismatch {
            operation: 0,
            current: 1,
        },
        StorageError::UniqueViolation { violation },
        StorageError::AssertionFailed { operation: 0 },
        StorageError::Conflict,
        StorageError::Unavailable(Unavailable::Overloaded),
        StorageError::Unavailable(Unavailable::Reopening),
        StorageError::Unavailable(Unavailable::Draining),
        StorageError::Unavailable(Unavailable::CommitUnknown),
        StorageError::Unavailable(Unavailable::OutOfMemory),
        StorageError::Timeout,
        StorageError::StorageFull,
        StorageError::AnswerTooLarge { bytes_max: 1 },
        StorageError::Unsupported(String::new()),
        StorageError::internal("broken"),
    ];
    let mut labels: HashSet<&str> = errors
        .iter()
        .map(|e| Ending::of_error(e).as_str())
        .collect();
    labels.extend([Ending::Done.as_str(), Ending::Cancelled.as_str()]);
    assert_eq!(labels.len(), Ending::COUNT);
}

#[test]
fn what_never_happened_is_shown_only_as_zero_times_ok() {
    let (_storage, metrics) = open();
    let text = metrics.render();
    assert!(
        text.contains("operation=\"count\",outcome=\"ok\"} 0"),
        "{text}"
    );
    assert!(!text.contains("unique_violation"), "{text}");
}

#[test]
fn operations_are_timed_by_how_they_end() {
    let (storage, metrics) = open();
    let create = |batch| storage.writer.execute(vec![Change::Create(batch)]);
    now(create(some_orders(1, 2))).unwrap();
    let error = now(create(some_orders(2, 1))).unwrap_err();
    assert!(matches!(error, StorageError::UniqueViolation { .. }));
    let delete = Change::Delete {
        schema: orders(),
        id: nth_id(1),
        expected: Some(7),
    };
    now(storage.writer.execute(vec![delete])).unwrap_err();

    check_endings(
        &metrics,
        "writer",
        "execute",
        &[("ok", 1), ("unique_violation", 1), ("version_mismatch", 1)],
    );
    check_records(&metrics, "writer", "execute", 2);
    check_endings(&metrics, "catalog", "apply", &[("ok", 1)]);
}

#[test]
fn a_call_that_is_dropped_or_never_made_is_not_an_answer() {
    let (storage, metrics) = open();
    drop(storage.monitor.probe());
    check_endings(&metrics, "monitor", "probe", &[]);
    now(storage.monitor.probe()).unwrap();
    check_endings(&metrics, "monitor", "probe", &[("ok", 1)]);

    let stuck = metered_in(
        Storage {
            monitor: Arc::new(Stuck),
            ..storage
        },
        metrics.registry(),
    );
    assert!(stuck.monitor.probe().now_or_never().is_none());
    check_endings(&metrics, "monitor", "probe", &[("cancelled", 1), ("ok", 1)]);
}

#[test]
fn a_session_is_measured_by_batch_and_as_a_whole() {
    let (storage, metrics) = open();
    let mut session = now(storage.writer.begin(&orders(), WriteMode::Insert.into())).unwrap();
    now(session.append(some_orders(1, 3))).unwrap();
    now(session.append(some_orders(4, 2))).unwrap();
    check_endings(&metrics, "writer", "session", &[]);
    assert_eq!(now(session.commit(Vec::new())).unwrap().inserted, 5);

    check_endings(&metrics, "writer", "begin", &[("ok", 1)]);
    check_endings(&metrics, "writer", "append", &[("ok", 2)]);
    check_endings(&metrics, "writer", "commit", &[("ok", 1)]);
    check_endings(&metrics, "writer", "session", &[("ok", 1)]);
    check_records(&metrics, "writer", "session", 5);
}

#[test]
fn a_session_rolled_back_counts_no_records() {
    let (storage, metrics) = open();
    let mut session = now(storage.writer.begin(&orders(), WriteMode::Insert.into())).unwrap();
    now(session.append(some_orders(1, 3))).unwrap();
    drop(session);
    check_endings(&metrics, "writer", "session", &[("cancelled", 1)]);
    check_records(&metrics, "writer", "session", 0);
}

#[test]
fn a_session_that_fails_ends_with_its_error() {
    let (storage, metrics) = open();
    now(storage
        .writer
        .execute(vec![Change::Create(some_orders(1, 1))]))
    .unwrap();
    let mut session = now(storage.writer.begin(&orders(), WriteMode::Insert.into())).unwrap();
    let appended = now(session.append(some_orders(1, 1)));
    // An engine may find the error at once or only when it commits.
    let failed = appended.is_err() || now(session.commit(Vec::new())).is_err();
    assert!(failed);
    check_endings(&metrics, "writer", "session", &[("unique_violation", 1)]);
    check_records(&metrics, "writer", "session", 0);
}

#[test]
fn a_stream_is_measured_to_its_first_batch_and_its_end() {
    let (storage, metrics) = open();
    now(storage
        .writer
        .execute(vec![Change::Create(some_orders(1, 4))]))
    .unwrap();
    let stream = now(storage.reader.scan(RecordQuery::all(orders()))).unwrap();
    let batches: Vec<_> = now(stream.collect());
    assert_eq!(
        batches
            .iter()
            .flatten()
            .fold(0, |rows, batch| rows + batch.num_rows()),
        4
    );

    check_endings(&metrics, "reader", "scan", &[("ok", 1)]);
    check_endings(&metrics, "reader", "first_batch", &[("ok", 1)]);
    check_endings(&metrics, "reader", "stream", &[("ok", 1)]);
    check_records(&metrics, "reader", "stream", 4);
}

#[test]
fn a_stream_dropped_early_was_cancelled() {
    let (storage, metrics) = open();
    now(storage
        .writer
        .execute(vec![Change::Create(some_orders(1, 4))]))
    .unwrap();
    let mut stream = now(storage.reader.scan(RecordQuery::all(orders()))).unwrap();
    now(stream.next()).unwrap().unwrap();
    drop(stream);
    drop(now(storage.reader.scan(RecordQuery::all(orders()))).unwrap());

    check_endings(
        &metrics,
        "reader",
        "first_batch",
        &[("cancelled", 1), ("ok", 1)],
    );
    check_endings(&metrics, "reader", "stream", &[("cancelled", 2)]);
}

#[test]
fn a_stream_that_fails_ends_with_its_error() {
    let (storage, metrics) = open();
    let storage = metered_in(
        Storage {
            reader: Arc::new(Slow),
            ..storage
        },
        metrics.registry(),
    );
    let stream = now(storage.reader.scan(RecordQuery::all(orders()))).unwrap();
    let items: Vec<_> = now(stream.collect());
    assert!(matches!(items[..], [Err(StorageError::Timeout)]));
    check_endings(&metrics, "reader", "first_batch", &[("timeout", 1)]);
    check_endings(&metrics, "reader", "stream", &[("timeout", 1)]);

    now(storage.reader.get(&orders(), &[nth_id(1)])).unwrap_err();
    now(storage.reader.count(&orders(), None, true)).unwrap_err();
    check_endings(&metrics, "reader", "get", &[("overloaded", 1)]);
    check_endings(&metrics, "reader", "count", &[("storage_full", 1)]);
    check_records(&metrics, "reader", "get", 0);
}

#[test]
fn the_monitor_passes_through() {
    let (storage, metrics) = open();
    let stuck = metered_in(
        Storage {
            monitor: Arc::new(Stuck),
            ..storage
        },
        metrics.registry(),
    );
    assert_eq!(stuck.monitor.state(), EngineState::Reopening);
    assert_eq!(stuck.monitor.gauges()[0].name, "wal_bytes");
    now(stuck.monitor.close());
}

/// An engine that never answers.
#[derive(Debug)]
struct Stuck;

#[async_trait]
impl EngineMonitor for Stuck {
    fn state(&self) -> EngineState {
        EngineState::Reopening
    }

    fn gauges(&self) -> Vec<Gauge> {
        vec![Gauge {
            name: "wal_bytes",
            value: 1.0,
        }]
    }

    async fn probe(&self) -> Result<(), StorageError> {
        poll_fn(|_| std::task::Poll::Pending).await
    }

    async fn close(&self) {}
}

/// A reader that answers nothing but errors.
#[derive(Debug)]
struct Slow;

#[async_trait]
impl RecordReader for Slow {
    async fn get(&self, _: &Arc<SchemaSnapshot>, _: &[RecordId]) -> BatchResult {
        Err(StorageError::Unavailable(Unavailable::Overloaded))
    }

    async fn scan(&self, _: RecordQuery) -> Result<RecordStream, StorageError> {
        Ok(Box::pin(stream::iter([Err(StorageError::Timeout)])))
    }

    async fn count(
        &self,
        _: &Arc<SchemaSnapshot>,
        _: Option<&Filter>,
        _: bool,
    ) -> Result<Count, StorageError> {
        Err(StorageError::StorageFull)
    }

    async fn aggregate(&self, _: Aggregate) -> BatchResult {
        Err(StorageError::internal("broken"))
    }

    fn commit_sequence(&self, _: &SchemaSnapshot) -> Option<u64> {
        None
    }

    fn record_sequence(&self, _: &SchemaSnapshot, _: RecordId) -> Option<u64> {
        None
    }
}
