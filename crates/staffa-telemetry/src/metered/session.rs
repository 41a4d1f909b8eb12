//! A write session, measured: each append, the commit, and the whole from `begin` to the
//! commit's answer. One dropped after an error ends with that error, else as cancelled.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use metrics::Counter;

use staffa_domain::ports::WriteSession;
use staffa_domain::{StampedBatch, StorageError, WriteReceipt};

use crate::metrics::Registry;

use super::ending::Ending;
use super::operation::{Operation, Timer};

/// What all sessions of a writer share.
#[derive(Debug)]
pub(super) struct SessionMeter {
    append: Arc<Operation>,
    commit: Arc<Operation>,
    whole: Arc<Operation>,
    records: Counter,
}

impl SessionMeter {
    pub(super) fn new(registry: &Registry) -> Self {
        let operation = |name| Operation::new(registry, "writer", name);
        let whole = operation("session");
        Self {
            append: operation("append"),
            commit: operation("commit"),
            records: whole.records(),
            whole,
        }
    }
}

#[derive(Debug)]
pub(super) struct MeteredSession {
    inner: Box<dyn WriteSession>,
    meter: Arc<SessionMeter>,
    whole: Timer,
}

impl MeteredSession {
    /// Goes on with a session that was asked for at `since`.
    pub(super) fn new(
        inner: Box<dyn WriteSession>,
        meter: Arc<SessionMeter>,
        since: Instant,
    ) -> Self {
        let whole = meter.whole.start_at(since);
        Self {
            inner,
            meter,
            whole,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl WriteSession for MeteredSession {
    async fn append(&mut self, batch: StampedBatch) -> Result<(), StorageError> {
        let result = self.meter.append.time(self.inner.append(batch)).await;
        if let Err(error) = &result {
            self.whole.set(Ending::of_error(error));
        }
        result
    }

    async fn settle(&mut self) -> Result<WriteReceipt, StorageError> {
        let result = self.inner.settle().await;
        if let Err(error) = &result {
            self.whole.set(Ending::of_error(error));
        }
        result
    }

    async fn commit(
        self: Box<Self>,
        also: Vec<StampedBatch>,
    ) -> Result<WriteReceipt, StorageError> {
        let further: u64 = also.iter().map(|batch| batch.len() as u64).sum();
        let Self {
            inner,
            meter,
            mut whole,
        } = *self;
        let result = meter.commit.time(inner.commit(also)).await;
        whole.set(Ending::of(&result));
        if let Ok(receipt) = &result {
            let records = receipt.inserted + receipt.updated + receipt.deleted + further;
            meter.records.increment(records);
        }
        result
    }
}
