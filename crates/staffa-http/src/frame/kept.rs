//! The body of an answer that is kept, sent as it is unpacked.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::{Frame, SizeHint};

use staffa_app::{KeptBody, KeptPieces};

/// The pieces of a kept body, whose length is known.
pub(super) struct KeptStream {
    pieces: KeptPieces,
    left: u64,
}

impl KeptStream {
    pub(super) fn new(body: &KeptBody) -> io::Result<Self> {
        Ok(Self {
            pieces: body.pieces()?,
            left: body.len(),
        })
    }
}

impl http_body::Body for KeptStream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(self.pieces.take().and_then(|piece| {
            let left = self.left.checked_sub(piece.len() as u64);
            let left = left.filter(|left| *left == 0 || !piece.is_empty());
            self.left = left.ok_or(io::ErrorKind::InvalidData)?;
            Ok(Frame::data(piece))
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
