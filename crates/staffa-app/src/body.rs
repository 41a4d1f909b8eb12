//! A request's body as it comes in, chunk by chunk.

use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;

/// Why no more of a body comes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is longer than it may be.
    #[error("the body is longer than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// With what is made of it, it takes more memory than there is for all of them.
    #[error("the request takes more than {max_bytes} bytes of memory; send less at a time")]
    TooMuch {
        /// The limit.
        max_bytes: u64,
    },
    /// There is no room for it, with all the others that are held now.
    #[error("the server holds as much in memory for its requests as it may")]
    NoRoom,
    /// The client sent nothing for too long.
    #[error("the body stopped coming")]
    TimedOut,
    /// The client broke off.
    #[error("the body was cut off")]
    Disconnected,
    /// It was kept for later and cannot be read again.
    #[error("the body was lost")]
    Lost,
}

/// The chunks of a body.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// How much of a chunk is decoded before other tasks get their turn: some 150 µs of work.
pub(crate) const SLICE_BYTES: usize = 64 << 10;
