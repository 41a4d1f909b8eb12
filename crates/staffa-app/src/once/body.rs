//! The body of an answer that is kept: packed while it is written, unpacked while it is told
//! again, so that no long one lies in memory as a whole.

use std::fmt;
use std::io::{self, Read, Write as _};

use bytes::Bytes;
use staffa_domain::StorageError;

use crate::error::Error;

/// Bodies from this length on are packed.
const PACKED_FROM_BYTES: usize = 1 << 10;
const PACK_LEVEL: i32 = 1;
/// How much is unpacked at once.
const PIECE_BYTES: usize = 64 << 10;

/// A body as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBody {
    len: u64,
    held: Held,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    Plain(Bytes),
    Packed(Bytes),
}

impl From<Bytes> for KeptBody {
    fn from(plain: Bytes) -> Self {
        Self {
            len: plain.len() as u64,
            held: Held::Plain(plain),
        }
    }
}

impl KeptBody {
    /// A body that was packed by [`BodyPacker`].
    pub(super) const fn packed(len: u64, bytes: Bytes) -> Self {
        Self {
            len,
            held: Held::Packed(bytes),
        }
    }

    /// The bytes of a body that is not packed.
    pub(super) const fn as_plain(&self) -> Option<&Bytes> {
        match &self.held {
            Held::Plain(bytes) => Some(bytes),
            Held::Packed(_) => None,
        }
    }

    /// The bytes as they are kept.
    pub(super) const fn bytes(&self) -> &Bytes {
        match &self.held {
            Held::Plain(bytes) | Held::Packed(bytes) => bytes,
        }
    }

    /// How long the body is.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its bytes, piece by piece.
    pub fn pieces(&self) -> io::Result<KeptPieces> {
        Ok(KeptPieces(match &self.held {
            Held::Plain(bytes) => Pieces::Plain(bytes.clone()),
            Held::Packed(bytes) => {
                let reader = io::Cursor::new(bytes.clone());
                Pieces::Packed(zstd::stream::read::Decoder::with_buffer(reader)?)
            }
        }))
    }
}

/// The pieces of a body that is kept.
pub struct KeptPieces(Pieces);

enum Pieces {
    Plain(Bytes),
    Packed(zstd::stream::read::Decoder<'static, io::Cursor<Bytes>>),
}

impl fmt::Debug for KeptPieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptPieces(..)")
    }
}

impl KeptPieces {
    /// The next piece; an empty one at the end.
    pub fn take(&mut self) -> io::Result<Bytes> {
        match &mut self.0 {
            Pieces::Plain(bytes) => Ok(std::mem::take(bytes)),
            Pieces::Packed(decoder) => {
                let mut piece = Vec::with_capacity(PIECE_BYTES);
                let mut part = Read::by_ref(decoder).take(PIECE_BYTES as u64);
                part.read_to_end(&mut piece)?;
                Ok(piece.into())
            }
        }
    }
}

/// Makes a body that is kept from the pieces of an answer.
pub struct BodyPacker {
    len: u64,
    plain: Vec<u8>,
    packer: Option<zstd::stream::write::Encoder<'static, Vec<u8>>>,
    bytes_max: usize,
}

impl fmt::Debug for BodyPacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyPacker")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl BodyPacker {
    /// A body of at most `bytes_max` bytes once it is packed.
    pub const fn new(bytes_max: usize) -> Self {
        Self {
            len: 0,
            plain: Vec::new(),
            packer: None,
            bytes_max,
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where the body is longer than may be kept.
    pub fn put(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.len += piece.len() as u64;
        if self.packer.is_none() {
            self.plain.extend_from_slice(piece);
            if self.plain.len() < PACKED_FROM_BYTES {
                return Ok(());
            }
            let packer = zstd::stream::write::Encoder::new(Vec::new(), PACK_LEVEL);
            self.packer = Some(packer.map_err(StorageError::internal)?);
        }
        let Some(packer) = &mut self.packer else {
            return Ok(());
        };
        let earlier = std::mem::take(&mut self.plain);
        let piece = if earlier.is_empty() { piece } else { &earlier };
        packer.write_all(piece).map_err(StorageError::internal)?;
        check(packer.get_ref().len(), self.bytes_max)
    }

    /// Ends the body.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where the body is longer than may be kept.
    pub fn finish(self) -> Result<KeptBody, Error> {
        let body = match self.packer {
            // What is no text is packed, whatever its length.
            None if std::str::from_utf8(&self.plain).is_err() => {
                let packed = zstd::bulk::compress(&self.plain, PACK_LEVEL);
                let packed = packed.map_err(StorageError::internal)?;
                KeptBody::packed(self.len, packed.into())
            }
            None => KeptBody::from(Bytes::from(self.plain)),
            Some(packer) => {
                let packed = packer.finish().map_err(StorageError::internal)?;
                KeptBody::packed(self.len, packed.into())
            }
        };
        check(body.bytes().len(), self.bytes_max)?;
        Ok(body)
    }
}

fn check(len: usize, most: usize) -> Result<(), Error> {
    if len <= most {
        return Ok(());
    }
    let message = format!(
        "the answer would take more than the {most} bytes that are kept under an Idempotency-Key; \
         ask for less of it, as with return=none, or send less at a time; nothing was stored"
    );
    Err(Error::TooLarge(message))
}
