//! Answers used again: equal questions asked at one moment are computed once, and the answer
//! is kept until the schema is next written to. A decorator of the read port that knows no
//! engine: one whose commits it cannot follow is passed through.
//!
//! Every kept answer lies under its question and the schema's commit sequence, which rises
//! before a write is acknowledged. So who asks after an acknowledged write can neither find an
//! answer from before it nor join in a question that was asked before it.

use std::fmt::{Debug, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures_util::{TryStreamExt, stream};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use staffa_domain::ports::{
    EngineMonitor, EngineState, Gauge, RecordReader, RecordStream, Storage,
};
use staffa_domain::query::Aggregate;
use staffa_domain::{Count, Filter, RecordId, RecordQuery, SchemaSnapshot, StorageError};

/// The most records of an answer that is looked at as a page, and so held as a whole: the
/// largest page, and the one record more by which it is known whether another follows.
const PAGE_RECORDS_MAX: u64 = 10_001;
/// How many answers are expected, for a start.
const ANSWERS_EXPECTED: usize = 4_096;
/// Bytes of the cache's own that an answer costs.
const OVERHEAD_BYTES: usize = 128;

/// The same storage, whose reader uses answers again and keeps up to `bytes_max` bytes of them.
/// Its monitor tells how many were reused and computed, and how many bytes are kept.
pub fn reuse_answers(storage: Storage, bytes_max: u64) -> Storage {
    let answers = Arc::new(Answers::new(bytes_max));
    Storage {
        reader: Arc::new(Reusing {
            inner: storage.reader,
            answers: Arc::clone(&answers),
        }),
        monitor: Arc::new(Watched {
            inner: storage.monitor,
            answers,
        }),
        ..storage
    }
}

/// What a question was answered.
#[derive(Debug, Clone)]
enum Answer {
    Batches(Vec<RecordBatch>),
    Count(Count),
}

impl Answer {
    fn bytes(&self) -> usize {
        match self {
            Self::Batches(batches) => batches.iter().map(RecordBatch::get_array_memory_size).sum(),
            Self::Count(_) => 0,
        }
    }

    fn batches(self) -> Result<Vec<RecordBatch>, StorageError> {
        match self {
            Self::Batches(batches) => Ok(batches),
            Self::Count(_) => Err(StorageError::internal("a count answers another question")),
        }
    }

    /// The only batch, of questions that are answered by one.
    fn batch(self) -> Result<RecordBatch, StorageError> {
        let first = self.batches()?.into_iter().next();
        first.ok_or_else(|| StorageError::internal("an answer without a batch"))
    }

    fn count(self) -> Result<Count, StorageError> {
        match self {
            Self::Count(count) => Ok(count),
            Self::Batches(_) => Err(StorageError::internal("records answer another question")),
        }
    }
}

/// An answer and what it weighs, found out once.
#[derive(Debug, Clone)]
struct Kept {
    answer: Answer,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<String, Kept> for Bytes {
    fn weight(&self, question: &String, kept: &Kept) -> u64 {
        (question.len() + kept.bytes + OVERHEAD_BYTES) as u64
    }
}

/// All answers that are kept, or are being computed.
#[derive(Debug)]
struct Answers {
    kept: Cache<String, Kept, Bytes>,
    asked: AtomicU64,
    computed: AtomicU64,
}

impl Answers {
    fn new(bytes_max: u64) -> Self {
        Self {
            kept: Cache::with_weighter(ANSWERS_EXPECTED, bytes_max, Bytes),
            asked: AtomicU64::new(0),
            computed: AtomicU64::new(0),
        }
    }

    /// The answer that is kept, or that somebody else is waiting for, or the one that `compute`
    /// comes to. An error is kept for nobody: the next one who waits computes by himself, and so
    /// he does where the one who computed has gone.
    async fn get(
        &self,
        question: &str,
        compute: impl Future<Output = Result<Answer, StorageError>> + Send,
    ) -> Result<Answer, StorageError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let compute = async {
            self.computed.fetch_add(1, Ordering::Relaxed);
            let answer = compute.await?;
            let bytes = answer.bytes();
            Ok::<_, StorageError>(Kept { answer, bytes })
        };
        let kept = self.kept.get_or_insert_async(question, compute).await?;
        Ok(kept.answer)
    }

    fn gauges(&self) -> [Gauge; 3] {
        let computed = self.computed.load(Ordering::Relaxed);
        let asked = self.asked.load(Ordering::Relaxed);
        let gauge = |name, value: u64| {
            #[expect(clippy::cast_precision_loss, reason = "a gauge needs no exact digits")]
            let value = value as f64;
            Gauge { name, value }
        };
        [
            gauge("answers_reused_total", asked.saturating_sub(computed)),
            gauge("answers_computed_total", computed),
            gauge("answers_bytes", self.kept.weight()),
        ]
    }
}

/// The reader that uses answers again.
#[derive(Debug)]
struct Reusing {
    inner: Arc<dyn RecordReader>,
    answers: Arc<Answers>,
}

impl Reusing {
    /// The key of a question at this moment; none where the engine's commits can't be followed.
    /// A derived `Debug` names every part, so that equal texts are equal questions.
    fn key(&self, schema: &SchemaSnapshot, kind: &str, parts: &dyn Debug) -> Option<String> {
        let commit = self.inner.commit_sequence(schema)?;
        let mut key = String::with_capacity(128);
        let (name, version) = (schema.name(), schema.version());
        // Writing to a text cannot fail.
        let _ = write!(key, "{name} {version} {commit} {kind} {parts:?}");
        Some(key)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl RecordReader for Reusing {
    async fn get(
        &self,
        schema: &Arc<SchemaSnapshot>,
        ids: &[RecordId],
    ) -> Result<RecordBatch, StorageError> {
        // Many ids at once are nobody else's question.
        let key = match ids {
            [id] => self.key(schema, "get", id),
            _ => None,
        };
        let Some(key) = key else {
            return self.inner.get(schema, ids).await;
        };
        let found = async {
            let found = self.inner.get(schema, ids).await?;
            Ok(Answer::Batches(vec![found]))
        };
        self.answers.get(&key, found).await?.batch()
    }

    async fn scan(&self, query: RecordQuery) -> Result<RecordStream, StorageError> {
        let RecordQuery {
            schema,
            filter,
            sort,
            ordered,
            after,
            offset,
            limit,
            select,
        } = &query;
        let parts = (filter, sort, ordered, after, offset, limit, select);
        let key = match limit {
            Some(limit) if *limit <= PAGE_RECORDS_MAX => self.key(schema, "scan", &parts),
            _ => None,
        };
        let Some(key) = key else {
            return self.inner.scan(query).await;
        };
        let page = async {
            let batches = self.inner.scan(query).await?.try_collect().await?;
            Ok(Answer::Batches(batches))
        };
        let batches = self.answers.get(&key, page).await?.batches()?;
        Ok(Box::pin(stream::iter(batches.into_iter().map(Ok))))
    }

    async fn count(
        &self,
        schema: &Arc<SchemaSnapshot>,
        filter: Option<&Filter>,
        exact: bool,
    ) -> Result<Count, StorageError> {
        let Some(key) = self.key(schema, "count", &(filter, exact)) else {
            return self.inner.count(schema, filter, exact).await;
        };
        let count = async {
            let count = self.inner.count(schema, filter, exact).await?;
            Ok(Answer::Count(count))
        };
        self.answers.get(&key, count).await?.count()
    }

    async fn aggregate(&self, question: Aggregate) -> Result<RecordBatch, StorageError> {
        let Aggregate {
            schema,
            filter,
            group_by,
            metrics,
            having,
            sort,
            limit,
        } = &question;
        let parts = (filter, group_by, metrics, having, sort, limit);
        let Some(key) = self.key(schema, "aggregate", &parts) else {
            return self.inner.aggregate(question).await;
        };
        let groups = async {
            let groups = self.inner.aggregate(question).await?;
            Ok(Answer::Batches(vec![groups]))
        };
        self.answers.get(&key, groups).await?.batch()
    }

    fn commit_sequence(&self, schema: &SchemaSnapshot) -> Option<u64> {
        self.inner.commit_sequence(schema)
    }
}

/// The monitor that also tells of answers.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn EngineMonitor>,
    answers: Arc<Answers>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EngineMonitor for Watched {
    fn state(&self) -> EngineState {
        self.inner.state()
    }

    fn gauges(&self) -> Vec<Gauge> {
        let mut gauges = self.inner.gauges();
        gauges.extend(self.answers.gauges());
        gauges
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.inner.probe().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
