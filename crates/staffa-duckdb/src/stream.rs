//! Results of any size: one thread and one connection a stream, a bounded channel to its
//! reader. Statement and stream stay on the thread. What a slow reader has not taken goes to a
//! file, since an open snapshot holds checkpoints up.

mod spool;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use duckdb::{ArrowStream, InterruptHandle, Statement, params_from_iter};
use futures_core::Stream;
use staffa_domain::error::Unavailable;
use staffa_domain::ports::RecordStream;
use staffa_domain::{RecordQuery, StorageError};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::engine::{Engine, LOOK_PERIOD, Link};
use crate::error::Fault;
use crate::priority::Priority;
use crate::sql::{Sql, select};
use crate::types::conform;
use spool::Spool;

/// How many batches wait for the reader at most.
const BATCHES_WAITING: usize = 2;
/// The engine gives 2,048 records at a time; a batch is worth more to all that follows.
const BATCH_ROWS: usize = 16_384;
/// A batch of so many bytes is full, however few its records. Whoever is behind this, in any
/// format, holds a few batches and what he makes of one, so this bounds the memory of a stream.
const BATCH_BYTES: usize = 2 << 20;

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
    /// How long the reader may keep the engine's snapshot waiting.
    patience: Duration,
    /// How long he may take nothing.
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
        patience: engine.options.stream_patience,
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

/// Why a batch cannot be handed over.
enum Stop {
    /// The reader has gone.
    Gone,
    /// He took nothing for as long as he may.
    Waited,
    /// The engine is lost.
    Lost,
}

/// How batches go to the reader.
enum Way {
    /// Through the channel.
    Straight,
    /// Into a file first, for a reader who is slower than the engine.
    Spooled(Box<Spool>),
}

/// A stream that the engine is through with, while its reader is not: the file, and the error at
/// its end if it ended with one.
struct Rest {
    spool: Box<Spool>,
    error: Option<StorageError>,
}

impl Producer {
    fn run(self, link: Link, started: oneshot::Sender<Result<(), StorageError>>) {
        Priority::Last.take();
        self.engine.streams_open.fetch_add(1, Ordering::AcqRel);
        let sql = select::records(&self.query);
        let rest = self.produce(&link, &sql, started);
        // The snapshot ends here, however long the reader takes for the rest.
        drop(link);
        if let Some(rest) = rest {
            self.replay(rest);
        }
        self.engine.streams_open.fetch_sub(1, Ordering::AcqRel);
    }

    fn produce(
        &self,
        link: &Link,
        sql: &Sql,
        started: oneshot::Sender<Result<(), StorageError>>,
    ) -> Option<Rest> {
        let refuse = |fault: Fault| self.engine.answer(fault, &self.query.schema);
        let mut statement = match self.prepare(link, sql) {
            Ok(statement) => statement,
            Err(fault) => {
                let _ = started.send(Err(refuse(fault)));
                return None;
            }
        };
        let stream = match statement.stream_arrow(params_from_iter(sql.params())) {
            Ok(stream) => stream,
            Err(error) => {
                let _ = started.send(Err(refuse(error.into())));
                return None;
            }
        };
        let readable = self.engine.check_layout(&self.query.schema);
        let is_readable = readable.is_ok();
        let _ = started.send(readable);
        if !is_readable {
            return None;
        }
        let mut way = Way::Straight;
        let error = match self.forward(stream, &mut way) {
            Ok(true) => None,
            Ok(false) => return None,
            Err(fault) => Some(refuse(fault)),
        };
        match (way, error) {
            (Way::Spooled(spool), error) => Some(Rest { spool, error }),
            (Way::Straight, Some(error)) => {
                self.send(Err(error));
                None
            }
            (Way::Straight, None) => None,
        }
    }

    fn prepare<'l>(&self, link: &'l Link, sql: &Sql) -> Result<Statement<'l>, Fault> {
        if !self.query.is_ordered() {
            link.execute_batch("SET SESSION preserve_insertion_order = false")?;
        }
        Ok(link.prepare(sql.text())?)
    }

    /// Hands on what the engine gives; false where nobody wants more of it.
    fn forward(&self, stream: ArrowStream<'_>, way: &mut Way) -> Result<bool, Fault> {
        let mut parts: Vec<RecordBatch> = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        // The reader gets something at once; from then on batches are full.
        let mut enough = 1;
        for part in stream {
            let part = conform(&part?, &self.layout)?;
            rows += part.num_rows();
            bytes += part.get_array_memory_size();
            parts.push(part);
            if rows >= enough || bytes >= BATCH_BYTES {
                if !self.hand_over(self.join(&mut parts)?, way) {
                    return Ok(false);
                }
                (rows, bytes, enough) = (0, 0, BATCH_ROWS);
            }
        }
        Ok(rows == 0 || self.hand_over(self.join(&mut parts)?, way))
    }

    fn join(&self, parts: &mut Vec<RecordBatch>) -> Result<RecordBatch, Fault> {
        let batch = concat_batches(&self.layout, parts.iter())?;
        parts.clear();
        Ok(batch)
    }

    /// Gives a batch to the reader, or to the file where he is slow; answers whether there is
    /// still a reader.
    fn hand_over(&self, batch: RecordBatch, way: &mut Way) -> bool {
        if let Way::Straight = way {
            match self.runtime.block_on(self.place(self.patience)) {
                Ok(place) => {
                    place.send(Ok(batch));
                    return true;
                }
                Err(Stop::Gone) => return false,
                Err(Stop::Lost) => {
                    return self.cut(StorageError::Unavailable(Unavailable::Reopening));
                }
                Err(Stop::Waited) => match self.spool() {
                    Ok(spool) => *way = Way::Spooled(Box::new(spool)),
                    Err(error) => return self.cut(error),
                },
            }
        }
        let Way::Spooled(spool) = way else {
            return false;
        };
        match spool.push(&batch) {
            Ok(()) => !self.sender.is_closed(),
            Err(error) => self.cut(error),
        }
    }

    fn spool(&self) -> Result<Spool, StorageError> {
        self.engine.streams_spooled.fetch_add(1, Ordering::AcqRel);
        let options = &self.engine.options;
        let folder = options.temp_folder(&self.engine.path);
        Spool::create(&folder, &self.layout, options.spool_bytes_max)
    }

    /// Hands over what lies in the file, and how the stream ended.
    fn replay(&self, rest: Rest) {
        let batches = match rest.spool.read() {
            Ok(batches) => batches,
            Err(error) => {
                self.send(Err(error));
                return;
            }
        };
        for batch in batches {
            if !self.send(batch.map_err(StorageError::internal)) {
                return;
            }
        }
        if let Some(error) = rest.error {
            self.send(Err(error));
        }
    }

    /// Hands a batch over; answers whether the reader still wants more. A reader that takes
    /// nothing for too long is cut.
    fn send(&self, batch: Batch) -> bool {
        match self.runtime.block_on(self.place(self.idle)) {
            Ok(place) => {
                place.send(batch);
                true
            }
            Err(Stop::Gone) => false,
            Err(Stop::Waited) => self.cut(StorageError::Timeout),
            Err(Stop::Lost) => self.cut(StorageError::Unavailable(Unavailable::Reopening)),
        }
    }

    /// Ends the stream early; answers that there is no reader any more.
    fn cut(&self, why: StorageError) -> bool {
        tracing::warn!(%why, "a stream was cut");
        let sender = self.sender.clone();
        // The reader must learn that the stream is not complete once it wakes up.
        self.runtime.spawn(async move {
            let _ = sender.send(Err(why)).await;
        });
        false
    }

    /// Waits for room in the channel, but neither longer than that nor while the engine is lost.
    async fn place(&self, longest: Duration) -> Result<mpsc::Permit<'_, Batch>, Stop> {
        let waiting_since = Instant::now();
        loop {
            match tokio::time::timeout(LOOK_PERIOD.min(longest), self.sender.reserve()).await {
                Ok(place) => return place.map_err(|_| Stop::Gone),
                Err(_) if self.engine.is_lost() => return Err(Stop::Lost),
                Err(_) if waiting_since.elapsed() >= longest => return Err(Stop::Waited),
                Err(_) => {}
            }
        }
    }
}
