//! The write side, measured.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use metrics::Counter;

use staffa_domain::ports::{RecordWriter, WriteSession};
use staffa_domain::{Operation as Change, Outcome, SchemaSnapshot, StorageError, WriteOptions};

use crate::metrics::Registry;

use super::operation::Operation;
use super::session::{MeteredSession, SessionMeter};

#[derive(Debug)]
pub(super) struct MeteredWriter {
    inner: Arc<dyn RecordWriter>,
    begin: Arc<Operation>,
    session: Arc<SessionMeter>,
    execute: Arc<Operation>,
    executed_records: Counter,
}

impl MeteredWriter {
    pub(super) fn new(inner: Arc<dyn RecordWriter>, registry: &Registry) -> Self {
        let execute = Operation::new(registry, "writer", "execute");
        Self {
            inner,
            begin: Operation::new(registry, "writer", "begin"),
            session: Arc::new(SessionMeter::new(registry)),
            executed_records: execute.records(),
            execute,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl RecordWriter for MeteredWriter {
    async fn begin(
        &self,
        schema: &Arc<SchemaSnapshot>,
        options: WriteOptions,
    ) -> Result<Box<dyn WriteSession>, StorageError> {
        let since = Instant::now();
        let inner = self.begin.time(self.inner.begin(schema, options)).await?;
        let meter = Arc::clone(&self.session);
        Ok(Box::new(MeteredSession::new(inner, meter, since)))
    }

    async fn execute(&self, operations: Vec<Change>) -> Result<Outcome, StorageError> {
        let records = operations.iter().map(records_of).sum();
        let outcome = self.execute.time(self.inner.execute(operations)).await?;
        self.executed_records.increment(records);
        Ok(outcome)
    }
}

/// How many records a change writes or removes.
fn records_of(change: &Change) -> u64 {
    match change {
        Change::Create(batch) => batch.len() as u64,
        Change::Replace { .. } | Change::Delete { .. } => 1,
        Change::Assert { .. } => 0,
    }
}
