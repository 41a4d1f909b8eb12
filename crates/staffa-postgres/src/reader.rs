//! The read side.

pub(crate) mod source;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use async_trait::async_trait;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio_postgres::CancelToken;
use tokio_postgres::types::{FromSqlOwned, Type};

use staffa_domain::ports::{COUNTED_BELOW, RecordReader, RecordStream};
use staffa_domain::query::Aggregate;
use staffa_domain::{Count, Filter, RecordId, RecordQuery, SchemaSnapshot, StorageError};

use crate::connector::Connector;
use crate::copy::CodecError;
use crate::copy::decode::BatchBuilder;
use crate::error;
use crate::monitor::Health;
use crate::options::Distribution;
use crate::point::Points;
use crate::pool::{Connection, Pool};
use crate::sql::{self, Query, names};
use source::{Fault, Source};

/// Up to here an answer is a page: read whole, on a connection for short reads.
const PAGE_MAX: u64 = 10_001;
/// How many records of a stream travel together.
const BATCH_RECORDS: usize = 8_192;
/// Fewer do, where they are as large as this together.
const BATCH_BYTES: usize = 4 << 20;

/// The reads of one database.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) points: Arc<Points>,
    pub(crate) reads: Arc<Pool>,
    pub(crate) streams: Arc<Pool>,
    pub(crate) connector: Connector,
    pub(crate) health: Arc<Health>,
    pub(crate) distribution: Distribution,
}

#[async_trait]
impl RecordReader for Reader {
    async fn get(
        &self,
        schema: &Arc<SchemaSnapshot>,
        ids: &[RecordId],
    ) -> Result<RecordBatch, StorageError> {
        self.health.check_open()?;
        self.points.get(schema, ids).await
    }

    async fn scan(&self, query: RecordQuery) -> Result<RecordStream, StorageError> {
        self.health.check_open()?;
        if query.limit.is_some_and(|limit| limit <= PAGE_MAX) {
            // A cluster would have to gather what one half leaves room for.
            let halves = (self.distribution == Distribution::None).then(|| sql::page(&query));
            let question = halves.flatten().unwrap_or_else(|| sql::scan(&query));
            let page = self.whole(question, &query.schema, query.bytes_max);
            let page = page.await?;
            return Ok(Box::pin(stream::iter([Ok(page)])));
        }
        self.stream(sql::scan(&query), &query.schema).await
    }

    async fn count(
        &self,
        schema: &Arc<SchemaSnapshot>,
        filter: Option<&Filter>,
        exact: bool,
    ) -> Result<Count, StorageError> {
        self.health.check_open()?;
        if !exact
            && filter.is_none()
            && let Some(records) =
                estimate(&self.reads.get().await?, self.distribution, schema).await?
        {
            return Ok(Count {
                records,
                exact: false,
            });
        }
        let answer = self.whole(sql::count(schema, filter), schema, None).await?;
        Ok(Count {
            records: first_integer(&answer)?.unsigned_abs(),
            exact: true,
        })
    }

    async fn aggregate(&self, question: Aggregate) -> Result<RecordBatch, StorageError> {
        self.health.check_open()?;
        self.whole(sql::aggregate(&question), &question.schema, None)
            .await
    }

    fn commit_sequence(&self, _: &SchemaSnapshot) -> Option<u64> {
        // Other servers write to the same database.
        None
    }

    fn record_sequence(&self, _: &SchemaSnapshot, _: RecordId) -> Option<u64> {
        None
    }
}

impl Reader {
    /// Runs a query and reads its whole answer, which must be short. One that takes more than so
    /// many bytes is given up, and its query cancelled.
    async fn whole(
        &self,
        query: Query,
        schema: &SchemaSnapshot,
        bytes_max: Option<u64>,
    ) -> Result<RecordBatch, StorageError> {
        let mut builder = BatchBuilder::new(Arc::clone(&query.layout))?;
        let (lease, mut source) = self.start(&self.reads, &query, schema).await?;
        loop {
            match source.pull(&mut builder).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(Fault::Server(error)) => {
                    lease.give_back_after(&error);
                    return Err(error::of_schema(error, schema));
                }
                Err(Fault::Codec(error)) => return Err(error),
            }
            if let Some(bytes_max) = bytes_max.filter(|most| builder.bytes() as u64 > *most) {
                return Err(StorageError::AnswerTooLarge { bytes_max });
            }
        }
        lease.give_back();
        Ok(builder.finish()?)
    }

    /// Runs a query whose answer is read as it comes, by a task: decoding one batch goes on
    /// while the caller encodes the one before.
    async fn stream(
        &self,
        query: Query,
        schema: &Arc<SchemaSnapshot>,
    ) -> Result<RecordStream, StorageError> {
        let builder = BatchBuilder::new(Arc::clone(&query.layout))?;
        let (lease, source) = self.start(&self.streams, &query, schema).await?;
        let (sender, mut receiver) = mpsc::channel(2);
        let schema = Arc::clone(schema);
        tokio::spawn(async move {
            let left = sender.clone();
            tokio::select! {
                answer = pump(source, builder, &sender) => {
                    match answer {
                        Ok(Ended::Complete) => lease.give_back(),
                        Ok(Ended::Left) => drop(lease),
                        Err(Fault::Server(error)) => {
                            lease.give_back_after(&error);
                            let _ = sender.send(Err(error::of_schema(error, &schema))).await;
                        }
                        Err(Fault::Codec(error)) => {
                            drop(lease);
                            let _ = sender.send(Err(error)).await;
                        }
                    }
                }
                () = left.closed() => {}
            }
        });
        Ok(Box::pin(stream::poll_fn(move |context| {
            receiver.poll_recv(context)
        })))
    }

    /// Begins a query on a connection of a pool, on another one where that is lost: after a
    /// restart of the server all that the pool kept may be dead.
    async fn start(
        &self,
        pool: &Arc<Pool>,
        query: &Query,
        schema: &SchemaSnapshot,
    ) -> Result<(Lease, Source), StorageError> {
        let mut again = 0;
        loop {
            let lease = Lease::new(pool.get().await?, self.connector.clone());
            let source = if Arc::ptr_eq(pool, &self.streams) {
                Source::long(lease.client(), query).await
            } else {
                Source::rows(lease.client(), query).await
            };
            match source {
                Ok(source) => return Ok((lease, source)),
                Err(error) => {
                    lease.give_back_after(&error);
                    if !error::is_lost(&error) || again > pool.size() {
                        return Err(error::of_schema(error, schema));
                    }
                    again += 1;
                }
            }
        }
    }
}

/// The planner's own estimate of the number of records; none where they are few and nobody has
/// counted them yet.
pub(crate) async fn estimate(
    client: &Connection,
    distribution: Distribution,
    schema: &SchemaSnapshot,
) -> Result<Option<u64>, StorageError> {
    if distribution == Distribution::Citus {
        // The coordinator's own part of the table is empty.
        return Ok(None);
    }
    let name = schema.name();
    let sql = "SELECT reltuples::bigint FROM pg_class \
               WHERE relname = $1 AND relnamespace = 'records'::regnamespace";
    let rows = client
        .query_typed(sql, &[(&name, Type::TEXT)])
        .await
        .map_err(error::plain)?;
    let Some(row) = rows.first() else {
        return Err(StorageError::SchemaNotFound {
            schema: name.to_owned(),
        });
    };
    let counted: i64 = row.try_get(0).map_err(error::plain)?;
    if counted <= 0 {
        return guess(client, schema).await;
    }
    // Scaled to the size of today.
    let plan = format!("EXPLAIN SELECT 1 FROM {}", names::table(schema));
    let plan: Option<String> = first(client, schema, &plan).await?;
    Ok(plan.as_deref().and_then(planned_rows))
}

/// How many pages of a table are looked into for how full all are.
const PAGES_SEEN: u64 = 64;

/// What the size of a table and its first pages say of its records, where they are many. The
/// planner's own guess goes by the types of the columns, and texts are of any length.
async fn guess(client: &Connection, schema: &SchemaSnapshot) -> Result<Option<u64>, StorageError> {
    let table = names::table(schema);
    let sql = format!(
        "SELECT count(*) * (pg_relation_size('{table}') / current_setting('block_size')::bigint) \
         / {PAGES_SEEN} FROM {table} WHERE ctid < '({PAGES_SEEN},0)'"
    );
    let records: Option<i64> = first(client, schema, &sql).await?;
    let records = records.map(i64::unsigned_abs);
    Ok(records.filter(|records| *records >= COUNTED_BELOW))
}

/// The first value of the first row of an answer.
async fn first<T: FromSqlOwned>(
    client: &Connection,
    schema: &SchemaSnapshot,
    sql: &str,
) -> Result<Option<T>, StorageError> {
    let rows = client.query_typed(sql, &[]).await;
    let rows = rows.map_err(|error| error::of_schema(error, schema))?;
    let value = rows.first().map(|row| row.try_get(0));
    value.transpose().map_err(error::plain)
}

/// The number of rows that a line of a plan expects.
fn planned_rows(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once(" rows=")?;
    let (rows, _) = rest.split_once(' ')?;
    rows.parse().ok()
}

enum Ended {
    Complete,
    Left,
}

async fn pump(
    mut source: Source,
    mut builder: BatchBuilder,
    sender: &mpsc::Sender<Result<RecordBatch, StorageError>>,
) -> Result<Ended, Fault> {
    let codec = |error: CodecError| Fault::Codec(error.into());
    while source.pull(&mut builder).await? {
        if builder.len() >= BATCH_RECORDS || builder.bytes() >= BATCH_BYTES {
            let batch = builder.finish().map_err(codec)?;
            if sender.send(Ok(batch)).await.is_err() {
                return Ok(Ended::Left);
            }
        }
    }
    if builder.len() > 0 {
        let batch = builder.finish().map_err(codec)?;
        let _ = sender.send(Ok(batch)).await;
    }
    Ok(Ended::Complete)
}

fn first_integer(batch: &RecordBatch) -> Result<i64, StorageError> {
    batch
        .columns()
        .first()
        .and_then(|column| column.as_primitive_opt::<Int64Type>())
        .filter(|column| !column.is_empty())
        .map(|column| column.value(0))
        .ok_or_else(|| StorageError::internal("a count has no answer"))
}

/// A connection with a query under way. Dropped before the answer is read to its end, the
/// query is cancelled and the connection closed: a late cancel must not meet the next query.
struct Lease {
    client: Option<Connection>,
    token: CancelToken,
    connector: Connector,
}

impl Lease {
    fn new(client: Connection, connector: Connector) -> Self {
        Self {
            token: client.cancel_token(),
            client: Some(client),
            connector,
        }
    }

    fn client(&self) -> &Connection {
        self.client
            .as_ref()
            .expect("the connection is there until the end")
    }

    fn give_back(mut self) {
        self.client.take();
    }

    fn give_back_after(mut self, error: &tokio_postgres::Error) {
        if let Some(client) = self.client.take() {
            client.give_back_after(error);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            self.connector.cancel(self.token.clone());
            client.discard();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::planned_rows;

    #[test]
    fn the_rows_of_a_plan_are_read_from_its_first_line() {
        let line = "Seq Scan on notes  (cost=0.00..96178.00 rows=4987500 width=4)";
        assert_eq!(planned_rows(line), Some(4_987_500));
        assert_eq!(planned_rows("Seq Scan on notes"), None);
        assert_eq!(planned_rows("(cost=1..2 rows=many width=4)"), None);
    }
}
