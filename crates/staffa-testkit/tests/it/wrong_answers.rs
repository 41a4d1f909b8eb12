//! Random questions notice an engine that answers wrongly.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures_util::TryStreamExt as _;

use staffa_domain::ports::{RecordReader, RecordStream, Storage};
use staffa_domain::query::Aggregate;
use staffa_domain::{Count, Filter, RecordId, RecordQuery, SchemaSnapshot, StorageError};
use staffa_testkit::MemoryEngine;
use staffa_testkit::conformance::{questions, run};

/// What a reader gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A page that has as many records as it may have lacks its last.
    Page,
    /// Where nothing is filtered, one record is not counted.
    Count,
    /// The last group of several is not there.
    Group,
    None,
}

#[derive(Debug)]
struct Wrong {
    inner: Arc<dyn RecordReader>,
    fault: Fault,
}

#[async_trait]
impl RecordReader for Wrong {
    async fn get(
        &self,
        schema: &Arc<SchemaSnapshot>,
        ids: &[RecordId],
    ) -> Result<RecordBatch, StorageError> {
        self.inner.get(schema, ids).await
    }

    async fn scan(&self, query: RecordQuery) -> Result<RecordStream, StorageError> {
        let limit = query.limit.unwrap_or(u64::MAX);
        let scan = self.inner.scan(query).await?;
        let fault = self.fault;
        Ok(Box::pin(scan.map_ok(move |batch| {
            let records = batch.num_rows();
            let is_cut = fault == Fault::Page && records as u64 == limit;
            batch.slice(0, records - usize::from(is_cut))
        })))
    }

    async fn count(
        &self,
        schema: &Arc<SchemaSnapshot>,
        filter: Option<&Filter>,
        exact: bool,
    ) -> Result<Count, StorageError> {
        let mut count = self.inner.count(schema, filter, exact).await?;
        count.records -= u64::from(self.fault == Fault::Count && filter.is_none());
        Ok(count)
    }

    async fn aggregate(&self, question: Aggregate) -> Result<RecordBatch, StorageError> {
        let answer = self.inner.aggregate(question).await?;
        let groups = answer.num_rows();
        let is_cut = self.fault == Fault::Group && groups > 1;
        Ok(answer.slice(0, groups - usize::from(is_cut)))
    }

    fn commit_sequence(&self, schema: &SchemaSnapshot) -> Option<u64> {
        self.inner.commit_sequence(schema)
    }

    fn record_sequence(&self, schema: &SchemaSnapshot, id: RecordId) -> Option<u64> {
        self.inner.record_sequence(schema, id)
    }
}

/// Whether a case passes on an engine with a fault.
fn passes(fault: Fault, case: impl AsyncFnOnce(Storage)) -> bool {
    let open = async || {
        let mut storage = MemoryEngine::open();
        storage.reader = Arc::new(Wrong {
            inner: storage.reader,
            fault,
        });
        storage
    };
    catch_unwind(AssertUnwindSafe(|| run(open, case))).is_ok()
}

#[test]
fn a_wrong_answer_is_noticed() {
    for (fault, expected) in [
        (Fault::None, [true, true, true]),
        (Fault::Page, [false, false, true]),
        (Fault::Count, [false, false, true]),
        (Fault::Group, [true, true, false]),
    ] {
        let found = [
            passes(fault, questions::records_match_the_reference),
            passes(fault, questions::answers_do_not_contradict),
            passes(fault, questions::figures_match_the_reference),
        ];
        assert_eq!(found, expected, "{fault:?}");
    }
}
