//! The head of a page of Parquet: what it says of its body, and not a word more.

use std::io::{self, Read};

/// How deep the head of a page may nest; a right one nests two deep.
const DEPTH_MAX: usize = 8;

/// What the head of a page says of its body.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Its kind, by the number of the format.
    pub(super) kind: usize,
    pub(super) packed: usize,
    pub(super) unpacked: usize,
    /// How many values it has, those that are null among them.
    pub(super) values: usize,
    /// How they are encoded, by the number of the format.
    pub(super) encoding: usize,
    /// The bytes at the start of the body that are never packed.
    pub(super) levels: usize,
    /// Whether it says that it is not packed though its column is.
    pub(super) is_plain: bool,
}

impl Page {
    /// The kind that holds each value once; other pages name them by number.
    pub(super) const DICTIONARY: usize = 2;
    /// The encoding in which a value goes on from the one before.
    pub(super) const DELTA_BYTES: usize = 7;
}

/// The head of a page, in the compact protocol of Thrift.
pub(super) struct Head<R>(pub(super) io::Take<R>);

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
    /// Reads to the end of the head.
    pub(super) fn page(&mut self) -> io::Result<Page> {
        let mut page = Page::default();
        let (mut before, mut known, mut versions) = (0, 0, 0);
        while let Some((id, kind)) = self.field(&mut before)? {
            known += u8::from((1..=3).contains(&id));
            versions += u8::from(matches!(id, 5 | 8));
            match id {
                1 => page.kind = self.size(kind)?,
                2 => page.unpacked = self.size(kind)?,
                3 => page.packed = self.size(kind)?,
                5 if kind == kind::STRUCT => self.first_version(&mut page)?,
                8 if kind == kind::STRUCT => self.second_version(&mut page)?,
                _ => self.skip(kind, DEPTH_MAX)?,
            }
        }
        // With two versions it would depend on the reader which of them is meant.
        if known == 3 && versions <= 1 {
            Ok(page)
        } else {
            Err(wrong())
        }
    }

    fn first_version(&mut self, page: &mut Page) -> io::Result<()> {
        let mut before = 0;
        while let Some((id, kind)) = self.field(&mut before)? {
            match id {
                1 => page.values = self.size(kind)?,
                2 => page.encoding = self.size(kind)?,
                _ => self.skip(kind, DEPTH_MAX - 1)?,
            }
        }
        Ok(())
    }

    fn second_version(&mut self, page: &mut Page) -> io::Result<()> {
        let mut before = 0;
        while let Some((id, kind)) = self.field(&mut before)? {
            match id {
                1 => page.values = self.size(kind)?,
                4 => page.encoding = self.size(kind)?,
                5 | 6 => page.levels += self.size(kind)?,
                7 => page.is_plain = kind == kind::FALSE,
                _ => self.skip(kind, DEPTH_MAX - 1)?,
            }
        }
        Ok(())
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
