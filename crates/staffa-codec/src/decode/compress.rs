//! Compressed bodies, decompressed in bounded pieces as they arrive.

use std::fmt;
use std::io::Write;

use super::{DecodeError, DecodeErrorCode};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, one member or several.
    Gzip,
    /// Zstandard, one frame or several.
    Zstd,
}

/// The most bytes that are handed on at once, however well they were compressed.
const PIECE: usize = 64 << 10;

/// The largest window a Zstandard frame may ask for, as a power of two: 8 MiB, which every
/// decoder must support (RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Decompresses one body, chunk by chunk.
///
/// What comes out goes to a callback in pieces of at most 64 KiB, so a small chunk that
/// expands to gigabytes costs no memory: the callback counts and stops it by an error. Nor
/// does it cost long waits: each call hands on one piece.
pub struct Decompressor {
    kind: Kind,
}

enum Kind {
    None,
    Gzip(Box<Gzip>),
    Zstd(Box<Zstd>),
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::None => "none",
            Kind::Gzip(_) => "gzip",
            Kind::Zstd(_) => "zstd",
        };
        f.debug_struct("Decompressor").field("kind", &kind).finish()
    }
}

struct Gzip {
    /// `None` between members.
    member: Option<flate2::write::GzDecoder<Vec<u8>>>,
    members: u64,
}

struct Zstd {
    decoder: zstd::stream::raw::Decoder<'static>,
    /// Bytes came since the last frame ended.
    is_within: bool,
    frames: u64,
    out: Vec<u8>,
}

impl Decompressor {
    /// Makes one for a body.
    pub fn new(compression: Compression) -> Result<Self, DecodeError> {
        let kind = match compression {
            Compression::None => Kind::None,
            Compression::Gzip => Kind::Gzip(Box::new(Gzip {
                member: None,
                members: 0,
            })),
            Compression::Zstd => Kind::Zstd(Box::new(Zstd::new()?)),
        };
        Ok(Self { kind })
    }

    /// Decompresses the next piece of a chunk and hands it to `out`, whose error ends it and
    /// is returned. Answers what is left of the chunk, with which this is to be called again;
    /// it may be empty where more is still to come out. None once the chunk is used up.
    pub fn push<'c, E: From<DecodeError>>(
        &mut self,
        chunk: &'c [u8],
        mut out: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Option<&'c [u8]>, E> {
        match &mut self.kind {
            Kind::None => {
                let (piece, rest) = chunk.split_at(chunk.len().min(PIECE));
                out(piece)?;
                Ok((!rest.is_empty()).then_some(rest))
            }
            Kind::Gzip(gzip) => gzip.push(chunk, &mut out),
            Kind::Zstd(zstd) => zstd.push(chunk, &mut out),
        }
    }

    /// Says that the body is over: hands on what was held back, or says that it was cut off.
    pub fn finish<E: From<DecodeError>>(
        &mut self,
        mut out: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let is_whole = match &mut self.kind {
            Kind::None => true,
            Kind::Gzip(gzip) => {
                let is_whole = gzip.members > 0 && gzip.is_at_end();
                if is_whole {
                    gzip.end_member(&mut out)?;
                }
                is_whole
            }
            Kind::Zstd(zstd) => zstd.frames > 0 && !zstd.is_within,
        };
        if is_whole {
            Ok(())
        } else {
            Err(truncated().into())
        }
    }
}

fn truncated() -> DecodeError {
    let message = "the compressed body ends too early";
    DecodeError::new(DecodeErrorCode::Truncated, message)
}

fn malformed(kind: &str) -> DecodeError {
    let message = format!("the body is not valid {kind}");
    DecodeError::new(DecodeErrorCode::MalformedCompression, message)
}

impl Gzip {
    fn push<'c, E: From<DecodeError>>(
        &mut self,
        chunk: &'c [u8],
        out: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Option<&'c [u8]>, E> {
        if chunk.is_empty() {
            return Ok(None);
        }
        let member = self.member.get_or_insert_with(|| {
            self.members += 1;
            flate2::write::GzDecoder::new(Vec::new())
        });
        // One write inflates at most one of the decoder's own buffers, 32 KiB.
        let read = member.write(chunk).map_err(|_| malformed("gzip"))?;
        for piece in member.get_ref().chunks(PIECE) {
            out(piece)?;
        }
        member.get_mut().clear();
        if read == 0 {
            // The member took nothing: it is over, and another follows.
            self.end_member(out)?;
        }
        Ok(Some(&chunk[read..]))
    }

    /// Whether the current member is complete: it then takes no byte more. To be asked only
    /// when nothing more comes.
    fn is_at_end(&mut self) -> bool {
        let member = self.member.as_mut();
        member.is_none_or(|member| matches!(member.write(&[0]), Ok(0)))
    }

    fn end_member<E: From<DecodeError>>(
        &mut self,
        out: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(mut member) = self.member.take() else {
            return Ok(());
        };
        member.try_finish().map_err(|_| malformed("gzip"))?;
        for piece in member.get_ref().chunks(PIECE) {
            out(piece)?;
        }
        Ok(())
    }
}

impl Zstd {
    fn new() -> Result<Self, DecodeError> {
        let unusable = |_| malformed("zstd");
        let mut decoder = zstd::stream::raw::Decoder::new().map_err(unusable)?;
        let window = zstd::stream::raw::DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX);
        decoder.set_parameter(window).map_err(unusable)?;
        Ok(Self {
            decoder,
            is_within: false,
            frames: 0,
            out: vec![0; PIECE],
        })
    }

    fn push<'c, E: From<DecodeError>>(
        &mut self,
        chunk: &'c [u8],
        out: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Option<&'c [u8]>, E> {
        use zstd::stream::raw::Operation;
        // A frame that is there as a whole is held to what it says of its size, and one that
        // comes in pieces not always: it never is.
        let now = if self.is_within {
            chunk.len()
        } else {
            chunk.len().min(1)
        };
        let done = self
            .decoder
            .run_on_buffers(&chunk[..now], &mut self.out)
            .map_err(|_| malformed("zstd"))?;
        if done.bytes_written > 0 {
            out(&self.out[..done.bytes_written])?;
        }
        if done.bytes_read > 0 || done.bytes_written > 0 {
            self.is_within = done.remaining > 0;
            self.frames += u64::from(!self.is_within);
        }
        let rest = &chunk[done.bytes_read..];
        // A full piece may not have been all that was decompressed.
        let is_full = done.bytes_written == self.out.len();
        Ok((is_full || !rest.is_empty()).then_some(rest))
    }
}
