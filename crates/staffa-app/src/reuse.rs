//! Answers used again: equal questions asked at one moment are computed once, and the answer
//! is kept until the schema is next written to. A decorator of the read port that knows no
//! engine: one whose commits it cannot follow is passed through.
//!
//! Single records are kept each for itself, and so outlive writes to others of their schema.
//! Every other kept answer lies under its question and the schema's commit sequence, which rises
//! before a write is acknowledged. So who asks after an acknowledged write can neither find an
//! answer from before it nor join in a question that was asked before it.

mod answers;
mod records;

use std::fmt::{Debug, Write};
use std::sync::Arc;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures_util::{TryStreamExt, stream};
use staffa_domain::ports::{
    EngineMonitor, EngineState, Gauge, RecordReader, RecordStream, Storage,
};
use staffa_domain::query::Aggregate;
use staffa_domain::{Count, Filter, RecordId, RecordQuery, SchemaSnapshot, StorageError};

use crate::limits::Limits;
use answers::{Answer, Answers};
use records::Records;

/// The most records of an answer that is looked at as a page, and so held as a whole: the
/// largest page, and the one record more by which it is known whether another follows.
const PAGE_RECORDS_MAX: u64 = 10_001;

/// The same storage, whose reader uses answers again, within what the limits allow to be kept.
/// Its monitor tells how many were reused and computed, and how many bytes are kept.
pub fn reuse_answers(storage: Storage, limits: &Limits) -> Storage {
    let answers = Arc::new(Answers::new(limits.answers_bytes_max));
    let records = Arc::new(Records::new(limits.records_bytes_max));
    Storage {
        reader: Arc::new(Reusing {
            inner: storage.reader,
            answers: Arc::clone(&answers),
            records: Arc::clone(&records),
        }),
        monitor: Arc::new(Watched {
            inner: storage.monitor,
            answers,
            records,
        }),
        ..storage
    }
}

fn gauge(name: &'static str, value: u64) -> Gauge {
    #[expect(clippy::cast_precision_loss, reason = "a gauge needs no exact digits")]
    let value = value as f64;
    Gauge { name, value }
}

/// The reader that uses answers again.
#[derive(Debug)]
struct Reusing {
    inner: Arc<dyn RecordReader>,
    answers: Arc<Answers>,
    records: Arc<Records>,
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
        let number = match ids {
            [id] => self.inner.record_sequence(schema, *id),
            // Many ids at once are nobody else's question.
            _ => None,
        };
        let (Some(number), [id]) = (number, ids) else {
            return self.inner.get(schema, ids).await;
        };
        if let Some(record) = self.records.get(schema, *id, number) {
            return Ok(record);
        }
        // Calls at one moment share a statement of the engine; there is no need to share a call.
        let found = self.inner.get(schema, ids).await?;
        self.records.keep(schema, *id, number, &found)?;
        Ok(found)
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
            bytes_max,
        } = &query;
        let parts = (
            filter, sort, ordered, after, offset, limit, select, bytes_max,
        );
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

    fn record_sequence(&self, schema: &SchemaSnapshot, id: RecordId) -> Option<u64> {
        self.inner.record_sequence(schema, id)
    }
}

/// The monitor that also tells of answers.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn EngineMonitor>,
    answers: Arc<Answers>,
    records: Arc<Records>,
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
        gauges.extend(self.records.gauges());
        gauges
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.inner.probe().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
