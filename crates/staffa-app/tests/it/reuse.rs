//! Answers that are used again, and never for too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures_util::future::join_all;
use futures_util::{FutureExt as _, TryStreamExt as _};
use tokio::sync::Semaphore;

use staffa_app::{Limits, reuse_answers};
use staffa_domain::ports::{RecordReader, RecordStream, SchemaChange, Storage};
use staffa_domain::query::{Aggregate, Comparison, Test};
use staffa_domain::{
    Count, Field, Filter, Operation, RecordId, RecordQuery, SchemaSnapshot, StorageError, Value,
};
use staffa_testkit::builders::batch;
use staffa_testkit::{MemoryEngine, nth_id, row, schemas};

async fn open() -> Storage {
    reuse_answers(MemoryEngine::open(), &Limits::default())
}

mod conformance {
    use super::open;

    staffa_testkit::storage_conformance!(open);
}

/// Lets questions through one by one, and counts them.
#[derive(Debug)]
struct Gate {
    inner: Arc<dyn RecordReader>,
    asked: AtomicUsize,
    passes: Semaphore,
    /// Whether an engine can tell of its commits.
    tells: bool,
}

impl Gate {
    async fn pass(&self) -> Result<(), StorageError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.passes
            .acquire()
            .await
            .map_err(|_| StorageError::Timeout)?
            .forget();
        Ok(())
    }
}

#[async_trait]
impl RecordReader for Gate {
    async fn get(
        &self,
        schema: &Arc<SchemaSnapshot>,
        ids: &[RecordId],
    ) -> Result<RecordBatch, StorageError> {
        self.pass().await?;
        self.inner.get(schema, ids).await
    }

    async fn scan(&self, query: RecordQuery) -> Result<RecordStream, StorageError> {
        self.pass().await?;
        self.inner.scan(query).await
    }

    async fn count(
        &self,
        schema: &Arc<SchemaSnapshot>,
        filter: Option<&Filter>,
        exact: bool,
    ) -> Result<Count, StorageError> {
        self.pass().await?;
        self.inner.count(schema, filter, exact).await
    }

    async fn aggregate(&self, question: Aggregate) -> Result<RecordBatch, StorageError> {
        self.pass().await?;
        self.inner.aggregate(question).await
    }

    fn commit_sequence(&self, schema: &SchemaSnapshot) -> Option<u64> {
        self.inner.commit_sequence(schema).filter(|_| self.tells)
    }

    fn record_sequence(&self, schema: &SchemaSnapshot, id: RecordId) -> Option<u64> {
        self.inner
            .record_sequence(schema, id)
            .filter(|_| self.tells)
    }
}

/// A storage with one order, and the gate before it, through which `passes` questions may go.
async fn gated(passes: usize, tells: bool, bytes_max: u64) -> (Storage, Arc<Gate>) {
    let mut storage = MemoryEngine::open();
    let gate = Arc::new(Gate {
        inner: storage.reader,
        asked: AtomicUsize::new(0),
        passes: Semaphore::new(passes),
        tells,
    });
    storage.reader = Arc::<Gate>::clone(&gate);
    let limits = Limits {
        answers_bytes_max: bytes_max,
        records_bytes_max: bytes_max,
        ..Limits::default()
    };
    let storage = reuse_answers(storage, &limits);
    let to = schemas::orders();
    let document = String::new();
    storage
        .catalog
        .apply(SchemaChange::Create { to, document })
        .await
        .unwrap();
    add(&storage, 1).await;
    (storage, gate)
}

async fn add(storage: &Storage, n: u64) {
    let one = batch(
        &schemas::orders(),
        n,
        vec![row! { reference: n.to_string() }],
    );
    storage
        .writer
        .execute(vec![Operation::Create(one)])
        .await
        .unwrap();
}

async fn count(storage: &Storage) -> Result<u64, StorageError> {
    let count = storage.reader.count(&schemas::orders(), None, true).await?;
    Ok(count.records)
}

fn asked(gate: &Gate) -> usize {
    gate.asked.load(Ordering::SeqCst)
}

/// A figure that is a whole number.
fn gauge(storage: &Storage, name: &str) -> u64 {
    let gauges = storage.monitor.gauges();
    let found = gauges.iter().find(|gauge| gauge.name == name).unwrap();
    found.value.to_string().parse().unwrap()
}

#[tokio::test]
async fn equal_questions_at_one_moment_are_computed_once() {
    for bytes_max in [0, 64 << 20] {
        let (storage, gate) = gated(0, true, bytes_max).await;
        let mut waiting: Vec<_> = (0..32).map(|_| Box::pin(count(&storage))).collect();
        for question in &mut waiting {
            assert!(question.now_or_never().is_none(), "it waits at the gate");
        }
        // The one whose question it is goes away: another one asks in his place.
        drop(waiting.remove(0));
        gate.passes.add_permits(1);
        for answer in join_all(waiting).await {
            assert_eq!(answer.unwrap(), 1);
        }
        assert_eq!(asked(&gate), 2, "{bytes_max}");
    }
}

#[tokio::test]
async fn an_answer_is_kept_until_the_next_write() {
    let (storage, gate) = gated(100, true, 64 << 20).await;
    let schema = schemas::orders();
    let page = || async {
        let mut query = RecordQuery::all(schemas::orders());
        (query.limit, query.ordered) = (Some(10), true);
        let scan = storage.reader.scan(query).await.unwrap();
        let batches: Vec<_> = scan.try_collect().await.unwrap();
        batches.iter().map(RecordBatch::num_rows).sum::<usize>()
    };
    for orders in 1..4_u64 {
        let before = asked(&gate);
        for _ in 0..5 {
            assert_eq!(count(&storage).await.unwrap(), orders);
            assert_eq!(page().await as u64, orders);
            let found = storage.reader.get(&schema, &[nth_id(1)]).await;
            assert_eq!(found.unwrap().num_rows(), 1);
        }
        assert_eq!(asked(&gate) - before, 3, "each question once");
        add(&storage, orders + 1).await;
    }
    assert!(gauge(&storage, "answers_bytes") > 0);
    assert!(gauge(&storage, "answers_bytes") <= 64 << 20);
    assert_eq!(gauge(&storage, "answers_computed_total"), 6);
    assert_eq!(gauge(&storage, "answers_reused_total"), 24);
    assert_eq!(gauge(&storage, "records_fetched_total"), 3);
    assert_eq!(gauge(&storage, "records_reused_total"), 12);
    assert!(gauge(&storage, "records_bytes") > 0);
}

#[tokio::test]
async fn other_questions_have_other_answers() {
    let (storage, gate) = gated(100, true, 64 << 20).await;
    let schema = schemas::orders();
    let reference = Field::find(&schema, "reference").unwrap();
    for (operand, expected) in [("1", 1), ("2", 0), ("1\", \"2", 0)] {
        let test = Test::Compare(Comparison::Eq, Value::String(operand.to_owned()));
        let filter = Filter::condition(reference, test);
        let count = storage.reader.count(&schema, Some(&filter), true).await;
        assert_eq!(count.unwrap().records, expected, "{operand}");
    }
    assert_eq!(asked(&gate), 3);
    // A long stream is nobody's page.
    for _ in 0..2 {
        let scan = storage
            .reader
            .scan(RecordQuery::all(schemas::orders()))
            .await
            .unwrap();
        assert_eq!(scan.try_collect::<Vec<_>>().await.unwrap().len(), 1);
    }
    assert_eq!(asked(&gate), 5);
}

#[tokio::test]
async fn an_error_is_nobodys_answer() {
    let (storage, gate) = gated(0, true, 64 << 20).await;
    let mut first = Box::pin(count(&storage));
    assert!((&mut first).now_or_never().is_none());
    gate.passes.close();
    assert!(matches!(first.await, Err(StorageError::Timeout)));
    assert!(matches!(count(&storage).await, Err(StorageError::Timeout)));
    assert_eq!(asked(&gate), 2);
}

#[tokio::test]
async fn where_others_write_nothing_is_kept() {
    let (storage, gate) = gated(100, false, 64 << 20).await;
    for _ in 0..3 {
        assert_eq!(count(&storage).await.unwrap(), 1);
    }
    assert_eq!(asked(&gate), 3);
    assert_eq!(gauge(&storage, "answers_bytes"), 0);
}

/// Writers look for what they have just written, among readers who keep asking the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_reads_his_own_writes() {
    let storage = open().await;
    let to = schemas::orders();
    let document = String::new();
    storage
        .catalog
        .apply(SchemaChange::Create { to, document })
        .await
        .unwrap();
    let tasks = (0..8_u64).map(|writer| {
        let storage = storage.clone();
        tokio::spawn(async move {
            let mut last = 0;
            for turn in 0..100 {
                let n = 1_000 * writer + turn;
                add(&storage, n).await;
                // All ask alike, so that answers are shared and kept across tasks.
                let found = count(&storage).await.unwrap();
                assert!(found > last, "{found} after {last}");
                last = found;
                let id = [nth_id(n)];
                let found = storage.reader.get(&schemas::orders(), &id).await.unwrap();
                assert_eq!(found.num_rows(), 1, "what was just added");
            }
        })
    });
    for done in join_all(tasks).await {
        done.unwrap();
    }
    assert_eq!(count(&storage).await.unwrap(), 800);
}
