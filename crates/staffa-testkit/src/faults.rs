//! Engines that go wrong at a moment that a test chooses.

use std::sync::Arc;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use tokio::sync::watch;

use staffa_domain::ports::{RecordReader, RecordStream};
use staffa_domain::query::Aggregate;
use staffa_domain::{Count, Filter, RecordId, RecordQuery, SchemaSnapshot, StorageError};

/// What a scan does once it has given its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanFault {
    /// It ends in an error.
    Fails,
    /// It gives nothing more, and does not end.
    Hangs,
    /// It gives its last batch again and again, without end.
    Repeats,
}

/// A reader whose scans go wrong after so many batches; all else is that of another reader. A
/// scan that has fewer batches is not touched.
#[derive(Debug)]
pub struct FaultyScans {
    inner: Arc<dyn RecordReader>,
    batches: usize,
    fault: ScanFault,
    open: watch::Sender<usize>,
}

impl FaultyScans {
    /// Lets the scans of `inner` give `batches` and then go wrong.
    pub fn new(inner: Arc<dyn RecordReader>, batches: usize, fault: ScanFault) -> Self {
        Self {
            inner,
            batches,
            fault,
            open: watch::Sender::new(0),
        }
    }

    /// How many scans are open, as it changes: one that was dropped is not.
    pub fn open(&self) -> watch::Receiver<usize> {
        self.open.subscribe()
    }
}

#[async_trait]
impl RecordReader for FaultyScans {
    async fn get(
        &self,
        schema: &Arc<SchemaSnapshot>,
        ids: &[RecordId],
    ) -> Result<RecordBatch, StorageError> {
        self.inner.get(schema, ids).await
    }

    async fn scan(&self, query: RecordQuery) -> Result<RecordStream, StorageError> {
        let scan = Scan {
            inner: self.inner.scan(query).await?,
            left: self.batches,
            fault: self.fault,
            last: None,
            _open: Open::new(&self.open),
        };
        Ok(Box::pin(stream::unfold(Some(scan), Scan::next)))
    }

    async fn count(
        &self,
        schema: &Arc<SchemaSnapshot>,
        filter: Option<&Filter>,
        exact: bool,
    ) -> Result<Count, StorageError> {
        self.inner.count(schema, filter, exact).await
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

struct Scan {
    inner: RecordStream,
    left: usize,
    fault: ScanFault,
    last: Option<RecordBatch>,
    _open: Open,
}

impl Scan {
    /// The next item, and the scan unless it is over.
    async fn next(scan: Option<Self>) -> Option<(Result<RecordBatch, StorageError>, Option<Self>)> {
        let mut scan = scan?;
        if scan.left > 0 {
            scan.left -= 1;
            let batch = scan.inner.next().await?;
            scan.last = batch.as_ref().ok().cloned();
            return Some((batch, Some(scan)));
        }
        match scan.fault {
            ScanFault::Fails => Some((Err(StorageError::internal("made to fail")), None)),
            ScanFault::Hangs => std::future::pending().await,
            ScanFault::Repeats => Some((Ok(scan.last.clone()?), Some(scan))),
        }
    }
}

/// Counts as an open scan until dropped.
struct Open(watch::Sender<usize>);

impl Open {
    fn new(open: &watch::Sender<usize>) -> Self {
        open.send_modify(|count| *count += 1);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
