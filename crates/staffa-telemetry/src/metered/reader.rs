//! The read side, measured.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use metrics::Counter;

use staffa_domain::ports::{RecordReader, RecordStream};
use staffa_domain::query::Aggregate;
use staffa_domain::{Count, Filter, RecordId, RecordQuery, SchemaSnapshot, StorageError};

use crate::metrics::Registry;

use super::operation::Operation;
use super::stream::{BatchResult, MeteredStream, StreamMeter};

#[derive(Debug)]
pub(super) struct MeteredReader {
    inner: Arc<dyn RecordReader>,
    get: Arc<Operation>,
    got_records: Counter,
    scan: Arc<Operation>,
    stream: StreamMeter,
    count: Arc<Operation>,
    aggregate: Arc<Operation>,
}

impl MeteredReader {
    pub(super) fn new(inner: Arc<dyn RecordReader>, registry: &Registry) -> Self {
        let operation = |name| Operation::new(registry, "reader", name);
        let get = operation("get");
        Self {
            inner,
            got_records: get.records(),
            get,
            scan: operation("scan"),
            stream: StreamMeter::new(registry),
            count: operation("count"),
            aggregate: operation("aggregate"),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl RecordReader for MeteredReader {
    async fn get(&self, schema: &Arc<SchemaSnapshot>, ids: &[RecordId]) -> BatchResult {
        let records = self.get.time(self.inner.get(schema, ids)).await?;
        self.got_records.increment(records.num_rows() as u64);
        Ok(records)
    }

    async fn scan(&self, query: RecordQuery) -> Result<RecordStream, StorageError> {
        let since = Instant::now();
        let inner = self.scan.time(self.inner.scan(query)).await?;
        Ok(Box::pin(MeteredStream::new(inner, &self.stream, since)))
    }

    async fn count(
        &self,
        schema: &Arc<SchemaSnapshot>,
        filter: Option<&Filter>,
        exact: bool,
    ) -> Result<Count, StorageError> {
        self.count
            .time(self.inner.count(schema, filter, exact))
            .await
    }

    async fn aggregate(&self, question: Aggregate) -> BatchResult {
        self.aggregate.time(self.inner.aggregate(question)).await
    }

    fn commit_sequence(&self, schema: &SchemaSnapshot) -> Option<u64> {
        self.inner.commit_sequence(schema)
    }

    fn record_sequence(&self, schema: &SchemaSnapshot, id: RecordId) -> Option<u64> {
        self.inner.record_sequence(schema, id)
    }
}
