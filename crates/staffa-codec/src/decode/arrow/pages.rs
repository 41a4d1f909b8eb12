//! What the pages of a Parquet file unpack to, looked at before any is unpacked: the reader
//! behind takes the memory that a page asks for, and some ways to write one ask for much by few
//! bytes.
//!
//! Not bounded here, but by the reader at 2 GiB: the texts of one batch of a list's items, which
//! count as if each record had one.

mod head;

use std::io::{self, Read};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Type};
use parquet::column::page::{Page as Unpacked, PageReader};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;

use self::head::{Head, Page};
use super::parquet::damaged;
use crate::decode::{DecodeError, DecodeErrorCode};

/// How the frames of LZ4 begin: its own, its old one, and the first of those to be skipped.
const LZ4_FRAMES: [u32; 3] = [0x184D_2204, 0x184C_2102, 0x184D_2A50];

/// The bytes that a value, or an item of a list, takes at the least once it is read.
const ITEM_BYTES: usize = 8;

/// What is read at once at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    /// Records.
    pub(super) rows: usize,
    /// Bytes of a batch and its pages; more only where fewer records do not help.
    pub(super) bytes: usize,
    /// Bytes of values that are repeated at next to no cost.
    pub(super) repeated: usize,
}

/// How many records are read at once so that a batch stays within bounds, and what it takes then
/// at most, with the pages that it lies in.
///
/// # Errors
/// When a page unpacks to more, whether it says so or not, and when one record may take more.
pub(super) fn rows_at_once<R: ChunkReader + 'static>(
    source: &Arc<R>,
    metadata: &ParquetMetaData,
    most: Most,
) -> Result<(usize, usize), DecodeError> {
    let bytes_max = most.bytes;
    let all = metadata.file_metadata().num_rows();
    let rows_max = most.rows.min(usize::try_from(all).unwrap_or(usize::MAX));
    let choices = [1, 8, 64].map(|part| (rows_max / part).max(1));
    let mut columns: Vec<Weight> = Vec::new();
    for group in metadata.row_groups() {
        let rows = usize::try_from(group.num_rows()).map_err(|_| damaged())?;
        columns.resize_with(group.columns().len(), || Weight::new(choices));
        for (column, weight) in group.columns().iter().zip(&mut columns) {
            check_column(source, column, (rows, bytes_max), weight)?;
        }
    }
    let longest = columns.iter().map(|column| column.longest);
    let longest = longest.fold(0, usize::saturating_add).max(1);
    let most = most.repeated.min(bytes_max) / longest;
    let mut chosen = (1, 0);
    for (at, rows) in choices.into_iter().enumerate() {
        let rows = rows.min(most).max(1);
        let bytes = columns.iter().map(|column| column.bytes(at, rows));
        chosen = (rows, bytes.fold(0, usize::saturating_add));
        if chosen.1 <= bytes_max {
            break;
        }
    }
    Ok(chosen)
}

/// What one column takes while it is read.
struct Weight {
    /// The longest value that may be repeated at next to no cost.
    longest: usize,
    /// The largest page, and the largest dictionary.
    page: usize,
    dictionary: usize,
    /// The texts of so many records, for each choice.
    texts: [Window; 3],
}

impl Weight {
    fn new(choices: [usize; 3]) -> Self {
        Self {
            longest: 1,
            page: 0,
            dictionary: 0,
            texts: choices.map(Window::of),
        }
    }

    fn bytes(&self, choice: usize, rows: usize) -> usize {
        let repeated = rows.saturating_mul(self.longest.max(ITEM_BYTES));
        // A dictionary is there twice: as its page, and taken apart.
        [repeated, self.page, self.dictionary, self.dictionary]
            .into_iter()
            .fold(self.texts[choice].most, usize::saturating_add)
    }
}

/// The most bytes of the pages that so many records in a row can lie in. Pages are counted
/// together until they have as many; the records then lie in two such blocks at the most.
struct Window {
    rows: usize,
    values: usize,
    bytes: usize,
    before: usize,
    most: usize,
}

impl Window {
    const fn of(rows: usize) -> Self {
        Self {
            rows,
            values: 0,
            bytes: 0,
            before: 0,
            most: 0,
        }
    }

    fn push(&mut self, values: usize, bytes: usize) {
        self.values = self.values.saturating_add(values);
        self.bytes = self.bytes.saturating_add(bytes);
        self.most = self.most.max(self.before.saturating_add(self.bytes));
        if self.values >= self.rows {
            self.before = std::mem::take(&mut self.bytes);
            self.values = 0;
        }
    }
}

/// Checks a column of a row group, and adds it to what the column takes.
fn check_column<R: ChunkReader + 'static>(
    source: &Arc<R>,
    column: &ColumnChunkMetaData,
    (rows, bytes_max): (usize, usize),
    weight: &mut Weight,
) -> Result<(), DecodeError> {
    let start = column.dictionary_page_offset();
    let start = start.unwrap_or_else(|| column.data_page_offset());
    let mut at = u64::try_from(start).map_err(|_| damaged())?;
    let mut left = u64::try_from(column.compressed_size()).map_err(|_| damaged())?;
    let kind = column.column_descr().physical_type();
    if kind == Type::FIXED_LEN_BYTE_ARRAY {
        // Also what is null takes this much.
        let len = usize::try_from(column.column_descr().type_length());
        weight.longest = weight.longest.max(len.map_err(|_| damaged())?);
    }
    let (mut values, mut dictionaries) = (0_usize, 0);
    while left > 0 {
        let read = source.get_read(at).map_err(|_| damaged())?;
        let mut head = Head(read.take(left));
        let page = head.page().map_err(|_| damaged())?;
        at += left - head.0.limit();
        left = head.0.limit();
        let after = left.checked_sub(page.packed as u64).ok_or_else(damaged)?;
        if page.unpacked > bytes_max {
            return Err(too_large(bytes_max));
        }
        if !page.is_plain && exceeds_its_word(column.compression()) {
            let body = source.get_bytes(at, page.packed).map_err(|_| damaged())?;
            check_body(column.compression(), &body, &page)?;
        }
        dictionaries += usize::from(page.kind == Page::DICTIONARY);
        if dictionaries > 1 {
            return Err(damaged());
        }
        if kind == Type::BYTE_ARRAY {
            weight.longest = weight.longest.max(match (page.kind, page.encoding) {
                (Page::DICTIONARY, _) => longest_entry(source, column)?,
                (_, Page::DELTA_BYTES) => page.unpacked,
                _ => 0,
            });
        }
        weigh(&page, kind, weight);
        values = values.saturating_add(page.values);
        at += left - after;
        left = after;
    }
    let is_list = column.column_descr().max_rep_level() > 0;
    let has_many = is_list && values.saturating_sub(rows) > bytes_max / ITEM_BYTES;
    if weight.longest > bytes_max || has_many {
        return Err(too_large(bytes_max));
    }
    Ok(())
}

fn weigh(page: &Page, kind: Type, weight: &mut Weight) {
    if page.kind == Page::DICTIONARY {
        weight.dictionary = weight.dictionary.max(page.unpacked);
        return;
    }
    weight.page = weight.page.max(page.unpacked);
    if kind == Type::BYTE_ARRAY {
        let texts = weight.texts.iter_mut();
        texts.for_each(|window| window.push(page.values, page.unpacked));
    }
}

fn too_large(bytes_max: usize) -> DecodeError {
    let message = format!("a column of a row group unpacks to more than {bytes_max} bytes");
    DecodeError::new(DecodeErrorCode::TooLarge, message)
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
            let len = io::copy(&mut unpacked, &mut io::sink());
            len.is_ok_and(|len| len > most)
        }
    };
    if is_forged { Err(damaged()) } else { Ok(()) }
}

/// The length of the longest text of a column's dictionary, its first page.
fn longest_entry<R: ChunkReader + 'static>(
    source: &Arc<R>,
    column: &ColumnChunkMetaData,
) -> Result<usize, DecodeError> {
    let pages = SerializedPageReader::new(Arc::clone(source), column, 0, None);
    let first = pages.and_then(|mut pages| pages.get_next_page());
    let Ok(Some(Unpacked::DictionaryPage { buf, .. })) = first else {
        return Err(damaged());
    };
    let mut rest = &buf[..];
    let mut longest = 0;
    while let Some((len, after)) = rest.split_first_chunk() {
        let len = u32::from_le_bytes(*len) as usize;
        rest = after.get(len..).ok_or_else(damaged)?;
        longest = longest.max(len);
    }
    Ok(longest)
}
