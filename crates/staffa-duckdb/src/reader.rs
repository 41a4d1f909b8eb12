//! The read side: points, pages and figures from bounded pools, the rest as streams.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use async_trait::async_trait;
use futures_util::stream;
use staffa_domain::ports::{RecordReader, RecordStream};
use staffa_domain::query::{Aggregate, aggregate_layout};
use staffa_domain::{Count, Filter, RecordId, RecordQuery, SchemaSnapshot, StorageError};
use tokio::sync::Semaphore;

use crate::engine::{Engine, PAGE_ROWS_MAX, draining, overloaded};
use crate::page::Pages;
use crate::point::Points;
use crate::pool::Pool;
use crate::sql::{aggregate, select};
use crate::stream as streams;
use crate::types::conform;

/// The reader port.
#[derive(Debug)]
pub(crate) struct Reader {
    engine: Arc<Engine>,
    pub(crate) points: Points,
    pub(crate) pool: Pool,
    pub(crate) streams: Arc<Semaphore>,
    pages: Arc<Pages>,
}

impl Reader {
    /// Starts the threads.
    pub(crate) fn start(engine: &Arc<Engine>) -> Result<Self, StorageError> {
        Ok(Self {
            points: Points::start(engine)?,
            pool: Pool::start(engine, "read", engine.options.read_threads)?,
            streams: Arc::new(Semaphore::new(engine.options.stream_threads.max(1))),
            pages: Arc::default(),
            engine: Arc::clone(engine),
        })
    }

    /// Proves that the engine answers.
    pub(crate) async fn probe(&self) -> Result<(), StorageError> {
        self.engine.check_ready()?;
        let engine = Arc::clone(&self.engine);
        self.pool
            .ask(move |link| {
                let answer: i64 = link
                    .query_row("SELECT count(*) FROM staffa_catalog.meta", [], |row| {
                        row.get(0)
                    })
                    .map_err(|error| engine.failed(error.into()))?;
                match answer {
                    1 => Ok(()),
                    _ => Err(StorageError::internal(
                        "the engine's own table is not whole",
                    )),
                }
            })
            .await
    }

    async fn page(&self, query: RecordQuery) -> Result<RecordStream, StorageError> {
        let found = self.page_with_others(&query).await.transpose();
        let batch = match found.map(|found| whole(&self.engine, &query, found)) {
            Some(batch) => batch?,
            None => self.page_alone(query).await?,
        };
        let batches = if batch.num_rows() == 0 {
            None
        } else {
            Some(Ok(batch))
        };
        Ok(Box::pin(stream::iter(batches)))
    }

    async fn page_alone(&self, query: RecordQuery) -> Result<RecordBatch, StorageError> {
        let engine = Arc::clone(&self.engine);
        let pages = Arc::clone(&self.pages);
        self.pool
            .ask(move |link| {
                let found = pages.fetch(link, &engine.sequences, &query);
                let found = found.map_err(|fault| engine.answer(fault, &query.schema));
                whole(&engine, &query, found)
            })
            .await
    }

    /// A page that was found in one look together with others; none where it is to be asked for
    /// alone. The look goes on as long as anybody waits for a part of it.
    async fn page_with_others(
        &self,
        query: &RecordQuery,
    ) -> Result<Option<Vec<RecordBatch>>, StorageError> {
        let Some((call, answer)) = self.pages.call(&self.engine.sequences, query) else {
            return Ok(None);
        };
        self.pages.wait(call, |call| {
            let engine = Arc::clone(&self.engine);
            let pages = Arc::clone(&self.pages);
            self.pool.send(move |link| {
                pages.answer(link, &engine.sequences, call.question());
            })
        })?;
        let found = answer.await.map_err(|_| draining())?;
        found.map_err(|fault| self.engine.answer(fault, &query.schema))
    }
}

/// The records of a page as one batch, if they are of the schema's version.
fn whole(
    engine: &Engine,
    query: &RecordQuery,
    found: Result<Vec<RecordBatch>, StorageError>,
) -> Result<RecordBatch, StorageError> {
    let found = found?;
    engine.check_layout(&query.schema)?;
    join(&found, &select::layout(query)).map_err(StorageError::internal)
}

/// What was found as one batch of a layout.
fn join(found: &[RecordBatch], layout: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let parts = found.iter().map(|batch| conform(batch, layout));
    concat_batches(layout, &parts.collect::<Result<Vec<_>, _>>()?)
}

#[async_trait]
impl RecordReader for Reader {
    async fn get(
        &self,
        schema: &Arc<SchemaSnapshot>,
        ids: &[RecordId],
    ) -> Result<RecordBatch, StorageError> {
        self.engine.check_readable(schema)?;
        self.points.get(schema, ids).await
    }

    async fn scan(&self, query: RecordQuery) -> Result<RecordStream, StorageError> {
        self.engine.check_readable(&query.schema)?;
        if query.limit.is_some_and(|limit| limit <= PAGE_ROWS_MAX) {
            return self.page(query).await;
        }
        let permit = Arc::clone(&self.streams)
            .try_acquire_owned()
            .map_err(|_| overloaded())?;
        streams::open(&self.engine, permit, query).await
    }

    async fn count(
        &self,
        schema: &Arc<SchemaSnapshot>,
        filter: Option<&Filter>,
        _exact: bool,
    ) -> Result<Count, StorageError> {
        self.engine.check_readable(schema)?;
        let engine = Arc::clone(&self.engine);
        let schema = Arc::clone(schema);
        let sql = select::count(&schema, filter);
        self.pool
            .ask(move |link| {
                let found = sql
                    .fetch(link)
                    .map_err(|fault| engine.answer(fault, &schema))?;
                engine.check_layout(&schema)?;
                let count = found
                    .first()
                    .and_then(|batch| batch.column(0).as_primitive_opt::<Int64Type>())
                    .filter(|counts| !counts.values().is_empty())
                    .map_or(0, |counts| counts.value(0));
                let records = u64::try_from(count).unwrap_or(0);
                Ok(Count {
                    records,
                    exact: true,
                })
            })
            .await
    }

    async fn aggregate(&self, question: Aggregate) -> Result<RecordBatch, StorageError> {
        self.engine.check_readable(&question.schema)?;
        let engine = Arc::clone(&self.engine);
        self.pool
            .ask(move |link| {
                let layout = Arc::new(aggregate_layout(&question));
                let found = aggregate::groups(&question)
                    .fetch(link)
                    .map_err(|fault| engine.answer(fault, &question.schema))?;
                engine.check_layout(&question.schema)?;
                join(&found, &layout).map_err(StorageError::internal)
            })
            .await
    }

    fn commit_sequence(&self, schema: &SchemaSnapshot) -> Option<u64> {
        self.engine.check_ready().ok()?;
        Some(self.engine.sequences.of(schema.name()))
    }

    fn record_sequence(&self, schema: &SchemaSnapshot, id: RecordId) -> Option<u64> {
        self.engine.check_ready().ok()?;
        Some(self.engine.sequences.of_record(schema.name(), id))
    }
}
