//! How many records a schema is said to have: a number, and what it is worth.

use std::sync::Arc;

use arrow_array::RecordBatch;
use async_trait::async_trait;

use staffa_app::{CursorKey, Queries};
use staffa_domain::ports::{RecordReader, RecordStream};
use staffa_domain::query::Aggregate;
use staffa_domain::{Count, Filter, RecordId, RecordQuery, SchemaSnapshot, StorageError};

use crate::app::{App, ctx, limits};

/// A reader whose engine has an idea of how many records there are.
#[derive(Debug)]
struct Estimating {
    inner: Arc<dyn RecordReader>,
    estimate: u64,
}

#[async_trait]
impl RecordReader for Estimating {
    async fn get(
        &self,
        schema: &Arc<SchemaSnapshot>,
        ids: &[RecordId],
    ) -> Result<RecordBatch, StorageError> {
        self.inner.get(schema, ids).await
    }

    async fn scan(&self, query: RecordQuery) -> Result<RecordStream, StorageError> {
        self.inner.scan(query).await
    }

    async fn count(
        &self,
        schema: &Arc<SchemaSnapshot>,
        filter: Option<&Filter>,
        exact: bool,
    ) -> Result<Count, StorageError> {
        if exact {
            return self.inner.count(schema, filter, exact).await;
        }
        Ok(Count {
            records: self.estimate,
            exact: false,
        })
    }

    async fn aggregate(&self, question: Aggregate) -> Result<RecordBatch, StorageError> {
        self.inner.aggregate(question).await
    }

    fn commit_sequence(&self, schema: &SchemaSnapshot) -> Option<u64> {
        self.inner.commit_sequence(schema)
    }

    fn record_sequence(&self, schema: &SchemaSnapshot, id: RecordId) -> Option<u64> {
        self.inner.record_sequence(schema, id)
    }
}

async fn check(estimate: u64, records: u64, exact: bool) {
    let app = App::new().await;
    app.create(r#"{"reference": "A-1"}"#).await;
    let reader = Estimating {
        inner: Arc::clone(&app.storage.reader),
        estimate,
    };
    let queries = Queries::new(
        Arc::clone(&app.catalog),
        Arc::new(reader),
        CursorKey::from_secret(b"test"),
        limits().into(),
    );
    let expected = Count { records, exact };
    let one = queries.describe_schema(&ctx(), "orders").await.unwrap();
    assert_eq!(one.record_count, expected);
    let all = queries.list_schemas(&ctx()).await.unwrap();
    assert_eq!(all[0].record_count, expected);
}

#[tokio::test]
async fn few_records_are_counted_and_an_estimate_of_many_is_called_one() {
    check(0, 1, true).await;
    check(99_999, 1, true).await;
    check(100_000, 100_000, false).await;
}
