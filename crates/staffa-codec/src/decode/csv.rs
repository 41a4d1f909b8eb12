//! Comma-separated values with a header (RFC 4180), from chunks.
//!
//! The splitting is our own, because a quoted empty cell is a text and an unquoted one null,
//! which `csv-core` does not tell apart.

mod rows;
pub(super) mod split;

use std::sync::Arc;

use staffa_domain::DecodedBatch;
use staffa_domain::schema::SchemaSnapshot;

use self::rows::CsvRows;
use self::split::Splitter;
use super::array::valid_prefix;
use super::ndjson::BYTE_ORDER_MARK;
use super::{BatchDecoder, CsvOptions, DecodeError, DecodeErrorCode, DecodeOptions};

pub(super) use self::split::{Cell, Cells};

/// What becomes of the records of a CSV body, the header first.
pub(super) trait CsvRecords: std::fmt::Debug + Send {
    /// Takes a record without its line end, on which line it starts, and its bytes with it.
    fn record(&mut self, text: &[u8], line: u64, bytes: usize) -> Result<(), DecodeError>;

    /// Whether the header was read.
    fn has_header(&self) -> bool;

    /// The index in the body of the record that is being read.
    fn index(&self) -> u64;

    /// The most bytes of one record.
    fn record_bytes_max(&self) -> usize;
}

/// The names in a header.
pub(super) fn header_names(
    text: &[u8],
    delimiter: u8,
    line: u64,
) -> Result<Vec<String>, DecodeError> {
    let bad = |why: &str| DecodeError::new(DecodeErrorCode::MalformedCsv, why).at_line(line);
    if valid_prefix(text) < text.len() {
        return Err(bad("the header is not UTF-8"));
    }
    let mut unquoted = Vec::new();
    let names = Cells::new(text, delimiter).map(|cell| {
        let cell = cell.map_err(bad)?;
        Ok(String::from_utf8_lossy(cell.text(&mut unquoted)).into_owned())
    });
    names.collect()
}

/// Whether a cell is null: an empty one, or one with the text for it, neither in quotes.
pub(super) fn is_null(cell: &Cell<'_>, options: &CsvOptions) -> bool {
    let null = options.null_value.as_ref();
    let is_word = || null.is_some_and(|null| null.as_bytes() == cell.raw);
    !cell.is_quoted && (cell.raw.is_empty() || is_word())
}

/// Reads CSV.
#[derive(Debug)]
pub(super) struct CsvDecoder<R = CsvRows> {
    pub(super) rows: R,
    splitter: Splitter,
    tail: Vec<u8>,
    /// The line that comes next, from one.
    line: u64,
}

impl CsvDecoder {
    pub(super) fn new(schema: Arc<SchemaSnapshot>, options: DecodeOptions) -> Self {
        let delimiter = options.csv.delimiter;
        Self::over(CsvRows::new(schema, options), delimiter)
    }
}

impl<R: CsvRecords> CsvDecoder<R> {
    pub(super) const fn over(rows: R, delimiter: u8) -> Self {
        Self {
            rows,
            splitter: Splitter::new(delimiter),
            tail: Vec::new(),
            line: 1,
        }
    }

    /// Reads one record, its line end included.
    fn read_record(&mut self, record: &[u8]) -> Result<(), DecodeError> {
        self.check_size(record.len())?;
        let line = self.line;
        self.line += memchr::memchr_iter(b'\n', record).count() as u64;
        let mut text = record.strip_suffix(b"\n").unwrap_or(record);
        text = text.strip_suffix(b"\r").unwrap_or(text);
        if line == 1 {
            text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        }
        if text.is_empty() {
            return Ok(());
        }
        self.rows.record(text, line, record.len())
    }

    fn check_size(&self, len: usize) -> Result<(), DecodeError> {
        let most = self.rows.record_bytes_max();
        if len <= most {
            return Ok(());
        }
        let message = format!(
            "the record on line {} is larger than {most} bytes",
            self.line
        );
        let error = DecodeError::new(DecodeErrorCode::TooLarge, message);
        Err(error.at_index(self.rows.index()).at_line(self.line))
    }

    fn read_tail(&mut self) -> Result<(), DecodeError> {
        let mut tail = std::mem::take(&mut self.tail);
        self.read_record(&tail)?;
        tail.clear();
        self.tail = tail;
        Ok(())
    }

    /// Reads all of a chunk.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        let mut rest = chunk;
        while let Some(len) = self.splitter.record_end(rest) {
            let (record, after) = rest.split_at(len);
            if self.tail.is_empty() {
                self.read_record(record)?;
            } else {
                self.tail.extend_from_slice(record);
                self.read_tail()?;
            }
            rest = after;
        }
        self.check_size(self.tail.len() + rest.len())?;
        self.tail.extend_from_slice(rest);
        Ok(())
    }

    /// Says that the body is over.
    pub(super) fn end(&mut self) -> Result<(), DecodeError> {
        if self.splitter.is_quoted() {
            let message = "the last record ends within quotes";
            let error = DecodeError::new(DecodeErrorCode::Truncated, message);
            return Err(error.at_line(self.line).at_index(self.rows.index()));
        }
        if !self.tail.is_empty() {
            self.read_tail()?;
        }
        if !self.rows.has_header() {
            let message = "the body has no header";
            return Err(DecodeError::new(DecodeErrorCode::MalformedCsv, message));
        }
        Ok(())
    }
}

impl BatchDecoder for CsvDecoder {
    fn push(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        self.feed(chunk)
    }

    fn take(&mut self) -> Option<DecodedBatch> {
        self.rows.rows.take()
    }

    fn held_bytes(&self) -> usize {
        self.tail.capacity()
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        self.end()?;
        self.rows.rows.flush_last();
        Ok(())
    }
}
