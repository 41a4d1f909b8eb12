//! Slow readers: what they have not taken waits in a file, or is cut visibly.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use futures_util::StreamExt;
use staffa_domain::batch::record_id;
use staffa_domain::ports::{RecordStream, Storage};
use staffa_domain::{Operation, PropertyType, RecordQuery, SchemaSnapshot, StorageError};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{create_with, execute, sorted};
use staffa_testkit::schemas::SchemaBuilder;
use staffa_testkit::{nth_id, row};
use tempfile::TempDir;

use crate::engine::Engine;
use crate::open::{assemble, open_engine};
use crate::options::Options;

const RECORDS: u64 = 120_000;

struct Bed {
    engine: Arc<Engine>,
    storage: Storage,
    schema: Arc<SchemaSnapshot>,
    _folder: TempDir,
}

impl Bed {
    async fn new(spool_bytes_max: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let mut options = Options::new(folder.path());
        options.stream_patience = Duration::from_millis(20);
        options.spool_bytes_max = spool_bytes_max;
        let engine = open_engine(options).unwrap();
        let storage = assemble(&engine).unwrap();
        let schema = SchemaBuilder::new("orders")
            .optional("reference", PropertyType::String)
            .snapshot();
        let rows = (0..RECORDS).map(|n| row! { reference: n.to_string() });
        create_with(&storage, batch(&schema, 0, rows.collect())).await;
        Self {
            engine,
            storage,
            schema,
            _folder: folder,
        }
    }

    /// A stream of which one batch was taken, and which then was left until it went to a file.
    async fn left(&self) -> (RecordStream, RecordBatch) {
        let query: RecordQuery = sorted(&self.schema, Vec::new());
        let mut stream = self.storage.reader.scan(query).await.unwrap();
        let first = stream.next().await.unwrap().unwrap();
        self.until("the stream is spooled", || {
            self.engine.streams_spooled.load(Ordering::Acquire) > 0
        })
        .await;
        (stream, first)
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(60), "{what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_gets_all_of_one_snapshot() {
    let bed = Bed::new(1 << 30).await;
    let (mut stream, first) = bed.left().await;
    let deleted = Operation::Delete {
        schema: Arc::clone(&bed.schema),
        id: nth_id(RECORDS - 1),
        expected: None,
    };
    execute(&bed.storage, vec![deleted]).await.unwrap();
    let mut expected = 0;
    let mut check = |batch: &RecordBatch| {
        for row in 0..batch.num_rows() {
            assert_eq!(record_id(batch, row), Some(nth_id(expected)));
            expected += 1;
        }
    };
    check(&first);
    while let Some(batch) = stream.next().await {
        check(&batch.unwrap());
    }
    assert_eq!(expected, RECORDS);
    bed.until("the thread has ended", || {
        bed.engine.streams_open.load(Ordering::Acquire) == 0
    })
    .await;
    bed.storage.monitor.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_may_wait_is_cut_visibly() {
    let bed = Bed::new(1 << 10).await;
    let (mut stream, _) = bed.left().await;
    let mut last = None;
    while let Some(batch) = stream.next().await {
        last = Some(batch);
    }
    assert!(
        matches!(last, Some(Err(StorageError::StorageFull))),
        "{last:?}"
    );
    bed.storage.monitor.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_leaves_ends_the_spool() {
    let bed = Bed::new(1 << 30).await;
    let (stream, _) = bed.left().await;
    drop(stream);
    bed.until("the thread has ended", || {
        bed.engine.streams_open.load(Ordering::Acquire) == 0
    })
    .await;
    bed.storage.monitor.close().await;
}
