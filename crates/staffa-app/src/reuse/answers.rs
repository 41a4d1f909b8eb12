//! The answers that are kept: each under its question, as long as the bytes suffice.

use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use staffa_domain::ports::Gauge;
use staffa_domain::{Count, StorageError};

use super::gauge;

/// How many answers are expected, for a start.
const ANSWERS_EXPECTED: usize = 4_096;
/// Bytes of the cache's own that an answer costs.
const OVERHEAD_BYTES: usize = 128;

/// What a question was answered.
#[derive(Debug, Clone)]
pub(super) enum Answer {
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

    pub(super) fn batches(self) -> Result<Vec<RecordBatch>, StorageError> {
        match self {
            Self::Batches(batches) => Ok(batches),
            Self::Count(_) => Err(StorageError::internal("a count answers another question")),
        }
    }

    /// The only batch, of questions that are answered by one.
    pub(super) fn batch(self) -> Result<RecordBatch, StorageError> {
        let first = self.batches()?.into_iter().next();
        first.ok_or_else(|| StorageError::internal("an answer without a batch"))
    }

    pub(super) fn count(self) -> Result<Count, StorageError> {
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
pub(super) struct Answers {
    kept: Cache<String, Kept, Bytes>,
    asked: AtomicU64,
    computed: AtomicU64,
}

impl Answers {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            kept: Cache::with_weighter(ANSWERS_EXPECTED, bytes_max, Bytes),
            asked: AtomicU64::new(0),
            computed: AtomicU64::new(0),
        }
    }

    /// The answer that is kept, or that somebody else is waiting for, or the one that `compute`
    /// comes to. An error is kept for nobody: the next one who waits computes by himself, and so
    /// he does where the one who computed has gone.
    pub(super) async fn get(
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

    pub(super) fn gauges(&self) -> [Gauge; 3] {
        let computed = self.computed.load(Ordering::Relaxed);
        let asked = self.asked.load(Ordering::Relaxed);
        [
            gauge("answers_reused_total", asked.saturating_sub(computed)),
            gauge("answers_computed_total", computed),
            gauge("answers_bytes", self.kept.weight()),
        ]
    }
}
