//! The read side: every question walks through all records of one snapshot.

use std::sync::Arc;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures_util::stream;

use staffa_domain::batch::bytes_of;
use staffa_domain::ports::{RecordReader, RecordStream};
use staffa_domain::query::Aggregate;
use staffa_domain::{Count, Filter, RecordId, RecordQuery, SchemaSnapshot, StorageError};

use super::content::Content;
use super::{MemoryEngine, aggregate, moved};
use crate::eval::{is_after, matches, order};
use crate::record::{Record, batch_of};

/// Small enough that tests see several batches.
const BATCH_RECORDS: usize = 1_024;

#[async_trait]
impl RecordReader for MemoryEngine {
    async fn get(
        &self,
        schema: &Arc<SchemaSnapshot>,
        ids: &[RecordId],
    ) -> Result<RecordBatch, StorageError> {
        let content = self.content(schema)?;
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let found = ids.iter().filter_map(|id| content.records().get(id));
        let all: Vec<usize> = (0..schema.schema().properties.len()).collect();
        Ok(batch_of(schema, &all, found))
    }

    async fn scan(&self, query: RecordQuery) -> Result<RecordStream, StorageError> {
        let content = self.content(&query.schema)?;
        let mut found: Vec<Record> = content
            .records()
            .values()
            .filter(|record| matches(query.filter.as_ref(), record) && is_after(&query, record))
            .cloned()
            .collect();
        let sort = query.total_sort();
        found.sort_by(|left, right| order(&sort, left, right));
        let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
        let limit = query.limit.and_then(|limit| usize::try_from(limit).ok());
        let page: Vec<Record> = found
            .into_iter()
            .skip(offset)
            .take(limit.unwrap_or(usize::MAX))
            .collect();
        let selected = query.selected();
        if let Some(bytes_max) = query.bytes_max
            && bytes_of(batch_of(&query.schema, &selected, &page).columns()) as u64 > bytes_max
        {
            return Err(StorageError::AnswerTooLarge { bytes_max });
        }
        let batches = (0..page.len()).step_by(BATCH_RECORDS).map(move |from| {
            let to = page.len().min(from + BATCH_RECORDS);
            Ok(batch_of(&query.schema, &selected, &page[from..to]))
        });
        Ok(Box::pin(stream::iter(batches)))
    }

    async fn count(
        &self,
        schema: &Arc<SchemaSnapshot>,
        filter: Option<&Filter>,
        _exact: bool,
    ) -> Result<Count, StorageError> {
        let content = self.content(schema)?;
        let found = content
            .records()
            .values()
            .filter(|record| matches(filter, record));
        Ok(Count {
            records: found.count() as u64,
            exact: true,
        })
    }

    async fn aggregate(&self, question: Aggregate) -> Result<RecordBatch, StorageError> {
        let content = self.content(&question.schema)?;
        let found = content
            .records()
            .values()
            .filter(|record| matches(question.filter.as_ref(), record));
        Ok(aggregate::answer(&question, found))
    }

    fn commit_sequence(&self, _: &SchemaSnapshot) -> Option<u64> {
        // One number for all schemas rises more often than it must, which is allowed.
        self.check_open().ok()?;
        Some(self.shared.state.read().commit)
    }

    fn record_sequence(&self, schema: &SchemaSnapshot, _: RecordId) -> Option<u64> {
        self.commit_sequence(schema)
    }
}

impl MemoryEngine {
    /// The records as they are now, if they still lie as the caller's version says.
    fn content(&self, schema: &SchemaSnapshot) -> Result<Arc<Content>, StorageError> {
        let state = self.snapshot()?;
        let kept = state.kept(schema)?;
        if kept.snapshot.record_layout() != schema.record_layout() {
            return Err(moved(schema.name()));
        }
        Ok(Arc::clone(&kept.content))
    }
}
