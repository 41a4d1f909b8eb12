//! What the pages of a Parquet file unpack to, looked at before any is unpacked: the reader
//! behind takes the memory that a page asks for, and some ways to write one ask for much by few
//! bytes.
//!
//! Not bounded here, but by the reader at 2 GiB: the texts of one batch of a list's items.

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

/// The bytes that an item of a list takes at the least once it is read.
const ITEM_BYTES: usize = 8;

/// How many records may be read at once so that none of a batch's columns takes more than this.
///
/// # Errors
/// When a page unpacks to more, whether it says so or not, and when one record may take more.
pub(super) fn rows_at_once<R: ChunkReader + 'static>(
    source: &Arc<R>,
    metadata: &ParquetMetaData,
    bytes_max: usize,
) -> Result<usize, DecodeError> {
    let mut longest = 1;
    for group in metadata.row_groups() {
        let rows = usize::try_from(group.num_rows()).map_err(|_| damaged())?;
        for column in group.columns() {
            let repeated = check_column(source, column, (rows, bytes_max))?;
            longest = longest.max(repeated);
        }
    }
    Ok(bytes_max / longest)
}

/// Checks a column; answers the longest value of it that may be repeated at next to no cost.
fn check_column<R: ChunkReader + 'static>(
    source: &Arc<R>,
    column: &ColumnChunkMetaData,
    (rows, bytes_max): (usize, usize),
) -> Result<usize, DecodeError> {
    let start = column.dictionary_page_offset();
    let start = start.unwrap_or_else(|| column.data_page_offset());
    let mut at = u64::try_from(start).map_err(|_| damaged())?;
    let mut left = u64::try_from(column.compressed_size()).map_err(|_| damaged())?;
    let kind = column.column_descr().physical_type();
    let mut longest = match kind {
        // Also what is null takes this much.
        Type::FIXED_LEN_BYTE_ARRAY => {
            usize::try_from(column.column_descr().type_length()).map_err(|_| damaged())?
        }
        _ => 0,
    };
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
            longest = longest.max(match (page.kind, page.encoding) {
                (Page::DICTIONARY, _) => longest_entry(source, column)?,
                (_, Page::DELTA_BYTES) => page.unpacked,
                _ => 0,
            });
        }
        values = values.saturating_add(page.values);
        at += left - after;
        left = after;
    }
    let is_list = column.column_descr().max_rep_level() > 0;
    if longest > bytes_max || (is_list && values.saturating_sub(rows) > bytes_max / ITEM_BYTES) {
        return Err(too_large(bytes_max));
    }
    Ok(longest)
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
