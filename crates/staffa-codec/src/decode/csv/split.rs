//! CSV text into records, and records into cells.

/// Finds where records end, piece by piece.
#[derive(Debug)]
pub(in crate::decode) struct Splitter {
    delimiter: u8,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    CellStart,
    Plain,
    Quoted,
    /// Behind a quote within quotes: the end of them, or half of a doubled one.
    QuoteSeen,
}

impl Splitter {
    pub(in crate::decode) const fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            place: Place::CellStart,
        }
    }

    pub(in crate::decode) const fn delimiter(&self) -> u8 {
        self.delimiter
    }

    pub(in crate::decode) fn is_quoted(&self) -> bool {
        self.place == Place::Quoted
    }

    /// Reads on; answers how many of these bytes end the current record.
    pub(in crate::decode) fn record_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
            match self.place {
                Place::Quoted => {
                    at += memchr::memchr(b'"', rest)? + 1;
                    self.place = Place::QuoteSeen;
                }
                Place::CellStart | Place::QuoteSeen if rest[0] == b'"' => {
                    self.place = Place::Quoted;
                    at += 1;
                }
                _ => {
                    self.place = Place::Plain;
                    let found = memchr::memchr2(self.delimiter, b'\n', rest)?;
                    self.place = Place::CellStart;
                    at += found + 1;
                    if rest[found] == b'\n' {
                        return Some(at);
                    }
                }
            }
        }
    }
}

/// One cell as it is written, without the quotes around it.
#[derive(Debug, Clone, Copy)]
pub(in crate::decode) struct Cell<'a> {
    pub(in crate::decode) raw: &'a [u8],
    pub(in crate::decode) is_quoted: bool,
    has_doubled: bool,
}

impl<'a> Cell<'a> {
    /// The cell's text; `scratch` holds it where quotes were doubled.
    pub(in crate::decode) fn text<'s>(&self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        if !self.has_doubled {
            return self.raw;
        }
        scratch.clear();
        let mut rest = self.raw;
        while let Some(found) = memchr::memchr(b'"', rest) {
            scratch.extend_from_slice(&rest[..=found]);
            rest = rest.get(found + 2..).unwrap_or_default();
        }
        scratch.extend_from_slice(rest);
        scratch
    }
}

/// The cells of one record.
#[derive(Debug)]
pub(in crate::decode) struct Cells<'a> {
    record: &'a [u8],
    /// Where the next cell starts; `None` behind the last one.
    at: Option<usize>,
    delimiter: u8,
}

impl<'a> Cells<'a> {
    pub(in crate::decode) const fn new(record: &'a [u8], delimiter: u8) -> Self {
        Self {
            record,
            at: Some(0),
            delimiter,
        }
    }

    fn plain(&mut self, start: usize) -> Result<Cell<'a>, &'static str> {
        let rest = &self.record[start..];
        let len = memchr::memchr(self.delimiter, rest);
        self.at = len.map(|len| start + len + 1);
        let raw = &rest[..len.unwrap_or(rest.len())];
        if memchr::memchr(b'"', raw).is_some() {
            return Err("a cell with a quote in it must stand in quotes");
        }
        Ok(Cell {
            raw,
            is_quoted: false,
            has_doubled: false,
        })
    }

    fn quoted(&mut self, start: usize) -> Result<Cell<'a>, &'static str> {
        let mut end = start + 1;
        let mut has_doubled = false;
        loop {
            let found = memchr::memchr(b'"', &self.record[end..]);
            end += found.ok_or("a cell's quotes are not closed")?;
            if self.record.get(end + 1) != Some(&b'"') {
                break;
            }
            has_doubled = true;
            end += 2;
        }
        self.at = match self.record.get(end + 1) {
            None => None,
            Some(byte) if *byte == self.delimiter => Some(end + 2),
            Some(_) => return Err("something follows the closing quote of a cell"),
        };
        Ok(Cell {
            raw: &self.record[start + 1..end],
            is_quoted: true,
            has_doubled,
        })
    }
}

impl<'a> Iterator for Cells<'a> {
    type Item = Result<Cell<'a>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at?;
        let cell = if self.record.get(start) == Some(&b'"') {
            self.quoted(start)
        } else {
            self.plain(start)
        };
        if cell.is_err() {
            self.at = None;
        }
        Some(cell)
    }
}
