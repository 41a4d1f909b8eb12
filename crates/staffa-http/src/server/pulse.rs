//! Whether a connection has requests under way, told from the service to the socket below,
//! and how long it has had none.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

use super::streams::Taking;

/// How much a client of HTTP/2 is given at once. What it was given lies in memory until it
/// takes it, also when the stream is over for us.
const HTTP2_FRAME_BYTES: usize = 64 << 10;

/// Counts the requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    started: AtomicU64,
    ended: AtomicU64,
    last_ended: Moment,
    /// Whether there was an answer whose end is that of the connection, and whether it has come
    /// to it.
    unframed: AtomicBool,
    unframed_is_over: AtomicBool,
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

    /// Whether closing the connection would pass for the end of an answer that was cut off:
    /// one without a length and without chunks, of which not all was sent.
    pub(super) fn is_cut(&self, all_is_sent: bool) -> bool {
        let is_over = self.unframed_is_over.load(Ordering::Relaxed);
        self.unframed.load(Ordering::Relaxed) && !(is_over && all_is_sent)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.ended.load(Ordering::Relaxed) == self.started()
    }

    /// Waits until there was no request for this long, counted from now.
    pub(super) async fn idle(&self, timeout: Duration) {
        let now = Instant::now();
        lasted(timeout, || {
            self.is_idle().then(|| self.last_ended.get().max(now))
        })
        .await;
    }
}

/// One request under way, until dropped.
#[derive(Debug)]
pub(super) struct Beat(Arc<Pulse>);

impl Drop for Beat {
    fn drop(&mut self) {
        self.0.last_ended.set();
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A point in time that tasks share.
#[derive(Debug)]
pub(super) struct Moment {
    origin: Instant,
    micros: AtomicU64,
}

impl Default for Moment {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            micros: AtomicU64::new(0),
        }
    }
}

impl Moment {
    /// Makes it now.
    pub(super) fn set(&self) {
        let micros = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.micros.store(micros, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Instant {
        self.origin + Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }
}

/// Waits until something has lasted this long. It looks only as often as it must, so that
/// what is short-lived costs nothing.
pub(super) async fn lasted(timeout: Duration, since: impl Fn() -> Option<Instant>) {
    let mut by = Instant::now() + timeout;
    loop {
        sleep_until(by).await;
        let now = Instant::now();
        by = match since() {
            Some(since) if since + timeout <= now => return,
            Some(since) => since + timeout,
            None => now + timeout,
        };
    }
}

/// An answer's body, with which its request is over.
pub(super) struct HeldBody {
    body: Body,
    /// On an HTTP/2 connection, whether the client has taken what it was given.
    taking: Option<Arc<Taking>>,
    /// What is left of a piece that is too long to be given at once.
    rest: Bytes,
    beat: Beat,
}

impl HeldBody {
    /// `has_end` unless the protocol has no way to mark the end of a body of unknown length.
    pub(super) fn new(body: Body, beat: Beat, taking: Option<Arc<Taking>>, has_end: bool) -> Self {
        let has_end = has_end || http_body::Body::size_hint(&body).exact().is_some();
        if !has_end && !http_body::Body::is_end_stream(&body) {
            beat.0.unframed.store(true, Ordering::Relaxed);
        }
        Self {
            body,
            taking,
            rest: Bytes::new(),
            beat,
        }
    }

    /// Notes when an answer that has no mark of its end comes to it.
    fn note(&self, frame: Option<&Result<Frame<Bytes>, axum::Error>>) {
        let is_over = match frame {
            Some(Ok(frame)) => frame.is_trailers() || http_body::Body::is_end_stream(self),
            Some(Err(_)) => false,
            None => true,
        };
        if is_over {
            self.beat.0.unframed_is_over.store(true, Ordering::Relaxed);
        }
    }

    /// The next piece of what came: all of it, unless there is a limit.
    fn cut(&mut self, mut data: Bytes) -> Frame<Bytes> {
        if let Some(taking) = &self.taking {
            taking.begin();
            if data.len() > HTTP2_FRAME_BYTES {
                self.rest = data.split_off(HTTP2_FRAME_BYTES);
            }
        }
        Frame::data(data)
    }
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(taking) = &self.taking {
            taking.end();
        }
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(self.cut(rest))));
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.note(frame.as_ref());
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(data) => self.cut(data),
                Err(trailers) => trailers,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        let mut with_rest = SizeHint::new();
        with_rest.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            with_rest.set_upper(upper + rest);
        }
        with_rest
    }
}
