//! A socket on which no wait is endless: for the first byte, for the rest of a request's head,
//! for a client that takes nothing, and for one that does not hang up.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::ServeOptions;
use super::bare;
use super::pulse::Pulse;

/// With what a client begins that speaks HTTP/2 (RFC 9113 §3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What is read of a client at once only to be thrown away.
const DISCARD_BYTES: usize = 16 << 10;

pub(super) struct Guarded {
    stream: TcpStream,
    pulse: Arc<Pulse>,
    first_byte_by: Instant,
    header_timeout: Duration,
    write_timeout: Duration,
    linger_timeout: Duration,
    /// Whether all that was to be said was sent.
    is_shut: bool,
    spoken: Spoken,
    /// When the head that has begun must be complete, and how many requests came before it.
    head: Option<(Instant, u64)>,
    /// What is still to be sent in place of what the library wrote.
    instead: Bytes,
    reading: Timer,
    writing: Timer,
}

#[derive(Clone, Copy, PartialEq)]
enum Spoken {
    /// So many bytes, as HTTP/2 begins.
    Opening(usize),
    Http1,
    Http2,
}

impl Spoken {
    fn and(self, bytes: &[u8]) -> Self {
        let Self::Opening(len) = self else {
            return self;
        };
        let expected = &HTTP2_PREFACE[len..];
        match bytes.get(..expected.len()) {
            Some(begin) if begin == expected => Self::Http2,
            None if expected.starts_with(bytes) => Self::Opening(len + bytes.len()),
            _ => Self::Http1,
        }
    }
}

impl Guarded {
    pub(super) fn new(stream: TcpStream, pulse: Arc<Pulse>, options: &ServeOptions) -> Self {
        Self {
            stream,
            pulse,
            first_byte_by: Instant::now() + options.first_byte_timeout,
            header_timeout: options.header_timeout,
            write_timeout: options.write_timeout,
            linger_timeout: options.linger_timeout,
            is_shut: false,
            spoken: Spoken::Opening(0),
            head: None,
            instead: Bytes::new(),
            reading: Timer::default(),
            writing: Timer::default(),
        }
    }

    fn note_read(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.reading.stop();
        self.spoken = self.spoken.and(bytes);
        if self.spoken == Spoken::Http2 {
            // From here on pings tell whether the client is there.
            self.head = None;
            return;
        }
        let requests = self.pulse.started();
        let has_begun = self.head.is_some_and(|(_, before)| before == requests);
        if self.pulse.is_idle() && !has_begun {
            self.head = Some((Instant::now() + self.header_timeout, requests));
        }
    }

    /// By when the client must send something, if it must.
    fn read_by(&self) -> Option<Instant> {
        if self.spoken == Spoken::Opening(0) {
            return Some(self.first_byte_by);
        }
        let (by, before) = self.head?;
        (self.pulse.started() == before && self.pulse.is_idle()).then_some(by)
    }

    /// Whether something else is sent than the library wrote.
    fn stands_in(&mut self, written: &[u8]) -> bool {
        if self.instead.is_empty() && self.spoken != Spoken::Http2 && self.pulse.is_idle() {
            self.instead = bare::instead_of(written).unwrap_or_default();
        }
        !self.instead.is_empty()
    }

    /// Sends that whole; then the library's `len` bytes count as written.
    fn poll_instead(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<io::Result<usize>> {
        while !self.instead.is_empty() {
            let done = Pin::new(&mut self.stream).poll_write(cx, &self.instead);
            match ready!(self.check_write(cx, done))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => drop(self.instead.split_to(sent)),
            }
        }
        Poll::Ready(Ok(len))
    }

    /// Ends a wait for the client to take something.
    fn check_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.writing.stop();
            return done;
        }
        let timeout = self.write_timeout;
        ready!(self.writing.poll_after(cx, timeout));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(done) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            self.note_read(&buffer.filled()[before..]);
            return Poll::Ready(done);
        }
        let Some(by) = self.read_by() else {
            self.reading.stop();
            return Poll::Pending;
        };
        ready!(self.reading.poll_at(cx, by));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.stands_in(bytes) {
            return self.poll_instead(cx, bytes.len());
        }
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.check_write(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.first().map_or(&[][..], |slice| slice);
        if self.stands_in(first) {
            return self.poll_instead(cx, first.len());
        }
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.check_write(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Says that nothing more comes, then waits a little for the client to hang up: closing
    /// with its bytes unread would make the system reset the connection, and the client lose
    /// an answer that it has not read yet.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        self.is_shut = true;
        let mut memory = [0; DISCARD_BYTES];
        let timeout = self.linger_timeout;
        loop {
            let mut buffer = ReadBuf::new(&mut memory);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    ready!(self.reading.poll_after(cx, timeout));
                    return Poll::Ready(Ok(()));
                }
            }
            // A client that never stops sending gets no more time than one that waits.
            if self.reading.poll_after(cx, timeout).is_ready() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Drop for Guarded {
    /// HTTP/1.0 ends an answer without a length by closing the connection. One that is cut off
    /// is reset instead, so that its client does not take the part for the whole.
    fn drop(&mut self) {
        if self.pulse.is_cut(self.is_shut)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "a connection could not be reset");
        }
    }
}

/// A timer that costs nothing until it is waited for.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn stop(&mut self) {
        self.0 = None;
    }

    fn poll_at(&mut self, cx: &mut Context<'_>, by: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(by)));
        if sleep.deadline() != by {
            sleep.as_mut().reset(by);
        }
        sleep.as_mut().poll(cx)
    }

    /// Counts from the first call since it was stopped.
    fn poll_after(&mut self, cx: &mut Context<'_>, timeout: Duration) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + timeout)));
        sleep.as_mut().poll(cx)
    }
}
