//! Results of any size: one thread and one connection a stream, a bounded channel to its
//! reader. Statement and stream stay on the thread.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use duckdb::{ArrowStream, InterruptHandle, params_from_iter};
use futures_core::Stream;
use staffa_domain::error::Unavailable;
use staffa_domain::ports::RecordStream;
use staffa_domain::{RecordQuery, StorageError};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::engine::{Engine, LOOK_PERIOD, Link};
use crate::error::Fault;
use crate::sql::{Sql, select};
use crate::types::conform;

/// How many batches wait for the reader at most.
const BATCHES_WAITING: usize = 2;
/// The engine gives 2,048 records at a time; a batch is worth more to all that follows.
const BATCH_ROWS: usize = 16_384;

type Batch = Result<RecordBatch, StorageError>;

/// The reading end. Dropping it interrupts the statement.
struct Batches {
    receiver: mpsc::Receiver<Batch>,
    interrupt: Arc<InterruptHandle>,
}

impl Stream for Batches {
    type Item = Batch;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context)
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        // The connection serves this stream alone, so nothing else can be hit.
        self.receiver.close();
        self.interrupt.interrupt();
    }
}

/// All that the thread of a stream needs.
struct Producer {
    engine: Arc<Engine>,
    query: RecordQuery,
    layout: SchemaRef,
    sender: mpsc::Sender<Batch>,
    runtime: Handle,
    idle: Duration,
    // Given back when the thread ends, whichever way.
    _permit: OwnedSemaphorePermit,
}

/// Opens a stream. Its snapshot is taken when this answers.
pub(crate) async fn open(
    engine: &Arc<Engine>,
    permit: OwnedSemaphorePermit,
    query: RecordQuery,
) -> Result<RecordStream, StorageError> {
    let link = engine.connect()?;
    let (sender, receiver) = mpsc::channel(BATCHES_WAITING);
    let (started, start) = oneshot::channel();
    // From here on, leaving this function interrupts the statement.
    let batches = Batches {
        receiver,
        interrupt: link.interrupt_handle(),
    };
    let producer = Producer {
        engine: Arc::clone(engine),
        layout: select::layout(&query),
        idle: engine.options.stream_idle_timeout,
        query,
        sender,
        runtime: Handle::current(),
        _permit: permit,
    };
    std::thread::Builder::new()
        .name("staffa-stream".to_owned())
        .spawn(move || producer.run(link, started))
        .map_err(StorageError::internal)?;
    start.await.map_err(|_| crate::engine::draining())??;
    Ok(Box::pin(batches))
}

impl Producer {
    fn run(self, link: Link, started: oneshot::Sender<Result<(), StorageError>>) {
        self.engine.streams_open.fetch_add(1, Ordering::AcqRel);
        let sql = select::records(&self.query);
        self.produce(&link, &sql, started);
        drop(link);
        self.engine.streams_open.fetch_sub(1, Ordering::AcqRel);
    }

    fn produce(&self, link: &Link, sql: &Sql, started: oneshot::Sender<Result<(), StorageError>>) {
        let refuse = |fault: Fault| self.engine.answer(fault, &self.query.schema);
        let ordered = self.query.ordered || !self.query.sort.is_empty();
        if !ordered
            && let Err(error) = link.execute_batch("SET SESSION preserve_insertion_order = false")
        {
            let _ = started.send(Err(refuse(error.into())));
            return;
        }
        let mut statement = match link.prepare(sql.text()) {
            Ok(statement) => statement,
            Err(error) => {
                let _ = started.send(Err(refuse(error.into())));
                return;
            }
        };
        match statement.stream_arrow(params_from_iter(sql.params())) {
            Ok(stream) => {
                let readable = self.engine.check_layout(&self.query.schema);
                let is_readable = readable.is_ok();
                let _ = started.send(readable);
                if !is_readable {
                    return;
                }
                if let Err(fault) = self.forward(stream) {
                    let _ = self.send(Err(refuse(fault)));
                }
            }
            Err(error) => {
                let _ = started.send(Err(refuse(error.into())));
            }
        }
    }

    fn forward(&self, stream: ArrowStream<'_>) -> Result<(), Fault> {
        let mut parts: Vec<RecordBatch> = Vec::new();
        let mut rows = 0;
        for part in stream {
            let part = conform(&part?, &self.layout)?;
            rows += part.num_rows();
            parts.push(part);
            if rows >= BATCH_ROWS {
                if !self.send(Ok(self.join(&mut parts)?)) {
                    return Ok(());
                }
                rows = 0;
            }
        }
        if rows > 0 {
            self.send(Ok(self.join(&mut parts)?));
        }
        Ok(())
    }

    fn join(&self, parts: &mut Vec<RecordBatch>) -> Result<RecordBatch, Fault> {
        let batch = concat_batches(&self.layout, parts.iter())?;
        parts.clear();
        Ok(batch)
    }

    /// Hands a batch over; answers whether the reader still wants more. A reader that takes
    /// nothing for too long is cut, since it pins a snapshot and so holds checkpoints up.
    fn send(&self, batch: Batch) -> bool {
        let why = match self.runtime.block_on(self.place()) {
            Ok(place) => {
                place.send(batch);
                return true;
            }
            Err(None) => return false,
            Err(Some(why)) => why,
        };
        tracing::warn!(%why, "a stream was cut");
        let sender = self.sender.clone();
        // The reader must learn that the stream is not complete once it wakes up.
        self.runtime.spawn(async move {
            let _ = sender.send(Err(why)).await;
        });
        false
    }

    /// Waits for room in the channel, but neither for ever nor while the engine is lost; an error
    /// without a reason says that the reader has gone.
    async fn place(&self) -> Result<mpsc::Permit<'_, Batch>, Option<StorageError>> {
        let waiting_since = Instant::now();
        loop {
            match tokio::time::timeout(LOOK_PERIOD.min(self.idle), self.sender.reserve()).await {
                Ok(place) => return place.map_err(|_| None),
                Err(_) if self.engine.is_lost() => {
                    return Err(Some(StorageError::Unavailable(Unavailable::Reopening)));
                }
                Err(_) if waiting_since.elapsed() >= self.idle => {
                    return Err(Some(StorageError::Timeout));
                }
                Err(_) => {}
            }
        }
    }
}
