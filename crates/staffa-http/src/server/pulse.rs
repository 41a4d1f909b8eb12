//! Whether a connection has requests under way, told from the service to the socket below.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};

/// Counts the requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    started: AtomicU64,
    ended: AtomicU64,
}

impl Pulse {
    /// A request's head is complete.
    pub(super) fn start(self: &Arc<Self>) -> Beat {
        self.started.fetch_add(1, Ordering::Relaxed);
        Beat(Arc::clone(self))
    }

    /// How many requests there were so far.
    pub(super) fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.ended.load(Ordering::Relaxed) == self.started()
    }
}

/// One request under way, until dropped.
#[derive(Debug)]
pub(super) struct Beat(Arc<Pulse>);

impl Drop for Beat {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// An answer's body, with which its request is over.
pub(super) struct HeldBody {
    body: Body,
    _beat: Beat,
}

impl HeldBody {
    pub(super) const fn new(body: Body, beat: Beat) -> Self {
        Self { body, _beat: beat }
    }
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
