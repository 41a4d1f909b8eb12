//! Writes whose schema changes between their check and their commit: they are done again, from
//! their decoding, under the version that the schema has then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Task, Poll, ready};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use crate::body::{BodyError, ByteStream, SLICE_BYTES};
use crate::changes::Changes;
use crate::commands::Commands;
use crate::error::Error;

/// What is kept of a body at most, so that it can be read again. That of a longer one is gone.
const KEPT_BYTES: usize = SLICE_BYTES;

impl Commands {
    /// Does a request, and does it again where its schema moved meanwhile.
    pub(super) async fn follow_changes<T, W>(
        &self,
        work: impl FnMut() -> W + Send,
    ) -> Result<T, Error>
    where
        T: Send,
        W: Future<Output = Result<T, Error>> + Send,
    {
        self.changes().follow(work, Error::is_moved).await
    }

    /// Watches the schemas from now on, for a request that is about to begin.
    pub(super) fn changes(&self) -> Changes<'_> {
        Changes::new(&self.catalog, self.limits.retries_max)
    }
}

/// What is read of a body, kept as long as that is short.
pub(super) struct ShortBody(Arc<Mutex<Noted>>);

/// So much of it.
#[derive(Default)]
struct Noted {
    chunks: Vec<Bytes>,
    bytes: usize,
    /// Whether that is all of it.
    is_whole: bool,
}

impl ShortBody {
    /// Keeps what is read of a body from now on.
    pub(super) fn of(body: &mut ByteStream) -> Self {
        let kept = Arc::new(Mutex::new(Noted::default()));
        let noted = Arc::clone(&kept);
        let mut inner = std::mem::replace(body, stream::empty().boxed());
        let read = move |task: &mut Task<'_>| {
            let item = ready!(inner.poll_next_unpin(task));
            lock(&noted).note(item.as_ref());
            Poll::Ready(item)
        };
        *body = stream::poll_fn(read).boxed();
        Self(kept)
    }

    /// The body once more, where all of it was read and kept.
    pub(super) fn again(&self) -> Option<ByteStream> {
        let kept = lock(&self.0);
        let chunks = kept.is_whole.then(|| kept.chunks.clone())?;
        Some(stream::iter(chunks).map(Ok).boxed())
    }
}

fn lock(kept: &Mutex<Noted>) -> MutexGuard<'_, Noted> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Noted {
    fn note(&mut self, item: Option<&Result<Bytes, BodyError>>) {
        match item {
            Some(Ok(chunk)) => {
                self.bytes = self.bytes.saturating_add(chunk.len());
                if self.bytes > KEPT_BYTES {
                    self.chunks = Vec::new();
                } else {
                    self.chunks.push(chunk.clone());
                }
            }
            Some(Err(_)) => {}
            None => self.is_whole = self.bytes <= KEPT_BYTES,
        }
    }
}
