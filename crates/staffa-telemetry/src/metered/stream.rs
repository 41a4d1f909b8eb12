//! A stream of records, measured from the call of `scan`: to its first batch, to its end,
//! and how many records came. The whole includes the time its consumer takes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_core::Stream;
use metrics::Counter;

use staffa_domain::ports::RecordStream;

use crate::metrics::Registry;

use super::ending::Ending;
use super::operation::{Operation, Timer};

/// A record batch or an error, as the port has it.
pub(super) type BatchResult = <RecordStream as Stream>::Item;

/// What all streams of a reader share.
#[derive(Debug)]
pub(super) struct StreamMeter {
    first: Arc<Operation>,
    whole: Arc<Operation>,
    records: Counter,
}

impl StreamMeter {
    pub(super) fn new(registry: &Registry) -> Self {
        let whole = Operation::new(registry, "reader", "stream");
        Self {
            first: Operation::new(registry, "reader", "first_batch"),
            records: whole.records(),
            whole,
        }
    }
}

pub(super) struct MeteredStream {
    inner: RecordStream,
    /// Runs until the first batch, error or end.
    first: Option<Timer>,
    /// Runs until the end or an error; what is still running when dropped was cancelled.
    whole: Option<Timer>,
    operation: Arc<Operation>,
    records: Counter,
}

impl MeteredStream {
    /// Goes on with a stream that was asked for at `since`.
    pub(super) fn new(inner: RecordStream, meter: &StreamMeter, since: Instant) -> Self {
        Self {
            inner,
            first: Some(meter.first.start_at(since)),
            whole: Some(meter.whole.start_at(since)),
            operation: Arc::clone(&meter.whole),
            records: meter.records.clone(),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Stream for MeteredStream {
    type Item = BatchResult;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.inner.as_mut().poll_next(cx));
        let ending = match &item {
            Some(Ok(batch)) => {
                self.records.increment(batch.num_rows() as u64);
                Ending::Done
            }
            Some(Err(error)) => {
                self.operation.log(error);
                Ending::of_error(error)
            }
            None => Ending::Done,
        };
        end(&mut self.first, ending);
        if !matches!(item, Some(Ok(_))) {
            end(&mut self.whole, ending);
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

fn end(timer: &mut Option<Timer>, ending: Ending) {
    if let Some(mut timer) = timer.take() {
        timer.set(ending);
    }
}
