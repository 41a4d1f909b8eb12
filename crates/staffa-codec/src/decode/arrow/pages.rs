//! What the pages of a Parquet file unpack to, looked at before any is unpacked: the reader
//! behind takes the memory that a page asks for, and some ways of compression take more.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::ChunkReader;

use super::parquet::damaged;
use crate::decode::{DecodeError, DecodeErrorCode};

/// How deep the head of a page may nest; a right one nests two deep.
const DEPTH_MAX: usize = 8;

/// How the frames of LZ4 begin: its own, its old one, and the first of those to be skipped.
const LZ4_FRAMES: [u32; 3] = [0x184D_2204, 0x184C_2102, 0x184D_2A50];

/// Refuses a file with a page that unpacks to more than may be held, whether it says so or not.
pub(super) fn check_pages<R: ChunkReader>(
    source: &R,
    metadata: &ParquetMetaData,
    bytes_max: usize,
) -> Result<(), DecodeError> {
    let groups = metadata.row_groups().iter();
    let mut columns = groups.flat_map(RowGroupMetaData::columns);
    columns.try_for_each(|column| check_column(source, column, bytes_max))
}

fn check_column<R: ChunkReader>(
    source: &R,
    column: &ColumnChunkMetaData,
    bytes_max: usize,
) -> Result<(), DecodeError> {
    let start = column.dictionary_page_offset();
    let start = start.unwrap_or_else(|| column.data_page_offset());
    let mut at = u64::try_from(start).map_err(|_| damaged())?;
    let mut left = u64::try_from(column.compressed_size()).map_err(|_| damaged())?;
    while left > 0 {
        let read = source.get_read(at).map_err(|_| damaged())?;
        let mut head = Head(read.take(left));
        let page = head.page().map_err(|_| damaged())?;
        at += left - head.0.limit();
        left = head.0.limit();
        let after = left.checked_sub(page.packed as u64).ok_or_else(damaged)?;
        if page.unpacked > bytes_max {
            let message = format!("a page of a column unpacks to more than {bytes_max} bytes");
            return Err(DecodeError::new(DecodeErrorCode::TooLarge, message));
        }
        if page.is_packed && exceeds_its_word(column.compression()) {
            let body = source.get_bytes(at, page.packed).map_err(|_| damaged())?;
            check_body(column.compression(), &body, &page)?;
        }
        at += left - after;
        left = after;
    }
    Ok(())
}

/// Whether the reader unpacks more than a page says it holds; the others it stops there.
const fn exceeds_its_word(compression: Compression) -> bool {
    matches!(compression, Compression::GZIP(_) | Compression::LZ4)
}

fn check_body(compression: Compression, body: &[u8], page: &Page) -> Result<(), DecodeError> {
    let body = body.get(page.levels..).ok_or_else(damaged)?;
    let is_forged = match compression {
        Compression::LZ4 => body.first_chunk().is_some_and(|word| {
            let word = u32::from_le_bytes(*word);
            LZ4_FRAMES.contains(&word) || LZ4_FRAMES[2] == word & !0xF
        }),
        _ => {
            // What is no gzip at all the reader finds out by itself.
            let most = page.unpacked.saturating_sub(page.levels) as u64;
            let mut unpacked = MultiGzDecoder::new(body).take(most + 1);
            io::copy(&mut unpacked, &mut io::sink()).is_ok_and(|len| len > most)
        }
    };
    if is_forged { Err(damaged()) } else { Ok(()) }
}

/// What the head of a page says of its body.
#[derive(Debug)]
struct Page {
    packed: usize,
    unpacked: usize,
    /// The bytes at the start of the body that are never packed.
    levels: usize,
    is_packed: bool,
}

/// The head of a page, in the compact protocol of Thrift.
struct Head<R>(io::Take<R>);

/// The kinds of values that matter here.
mod kind {
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const STRUCT: u8 = 12;
}

fn wrong() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl<R: Read> Head<R> {
    fn page(&mut self) -> io::Result<Page> {
        let (mut packed, mut unpacked) = (None, None);
        let (mut levels, mut is_packed) = (0, true);
        let mut before = 0;
        while let Some((id, kind)) = self.field(&mut before)? {
            match id {
                2 => unpacked = Some(self.size(kind)?),
                3 => packed = Some(self.size(kind)?),
                8 if kind == kind::STRUCT => (levels, is_packed) = self.second_version()?,
                _ => self.skip(kind, DEPTH_MAX)?,
            }
        }
        Ok(Page {
            packed: packed.ok_or_else(wrong)?,
            unpacked: unpacked.ok_or_else(wrong)?,
            levels,
            is_packed,
        })
    }

    /// Of a data page of the second version, its levels and whether its values are packed.
    fn second_version(&mut self) -> io::Result<(usize, bool)> {
        let (mut levels, mut is_packed) = (0, true);
        let mut before = 0;
        while let Some((id, kind)) = self.field(&mut before)? {
            match id {
                5 | 6 => levels += self.size(kind)?,
                7 => is_packed = kind != kind::FALSE,
                _ => self.skip(kind, DEPTH_MAX - 1)?,
            }
        }
        Ok((levels, is_packed))
    }

    /// The number and kind of the next field. Numbers rise, as every writer has them, so that
    /// none is told twice.
    fn field(&mut self, before: &mut i64) -> io::Result<Option<(i64, u8)>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        let id = match byte >> 4 {
            0 => self.integer()?,
            step => *before + i64::from(step),
        };
        if id <= *before || id > i64::from(i16::MAX) {
            return Err(wrong());
        }
        *before = id;
        Ok(Some((id, byte & 0xF)))
    }

    fn size(&mut self, kind: u8) -> io::Result<usize> {
        if !(kind::I16..=kind::I64).contains(&kind) {
            return Err(wrong());
        }
        let size = i32::try_from(self.integer()?).map_err(|_| wrong())?;
        usize::try_from(size).map_err(|_| wrong())
    }

    fn skip(&mut self, kind: u8, depth: usize) -> io::Result<()> {
        match kind {
            kind::TRUE | kind::FALSE => Ok(()),
            kind::BYTE => self.byte().map(|_| ()),
            kind::I16..=kind::I64 => self.varint().map(|_| ()),
            kind::DOUBLE => self.skip_bytes(8),
            kind::BINARY => {
                let len = self.varint()?;
                self.skip_bytes(len)
            }
            kind::LIST | kind::SET if depth > 0 => self.skip_list(depth - 1),
            kind::STRUCT if depth > 0 => {
                let mut before = 0;
                while let Some((_, kind)) = self.field(&mut before)? {
                    self.skip(kind, depth - 1)?;
                }
                Ok(())
            }
            // No page has a map or a uuid.
            _ => Err(wrong()),
        }
    }

    fn skip_list(&mut self, depth: usize) -> io::Result<()> {
        let byte = self.byte()?;
        let len = match byte >> 4 {
            0xF => self.varint()?,
            len => u64::from(len),
        };
        for _ in 0..len {
            match byte & 0xF {
                // Within a list a boolean takes a byte of its own.
                kind::TRUE | kind::FALSE => self.skip_bytes(1)?,
                kind => self.skip(kind, depth)?,
            }
        }
        Ok(())
    }

    fn skip_bytes(&mut self, len: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.0.by_ref().take(len), &mut io::sink())?;
        if skipped < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.0.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(wrong())
    }

    /// A signed integer: zigzag.
    fn integer(&mut self) -> io::Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }
}
