//! One array of a batch with its type found out once, and its cells as JSON and as CSV.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, ListArray, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, TimeUnit};

use super::EncodeError;
use crate::text::format::{
    needs_escape, push_boolean, push_date, push_datetime, push_decimal, push_integer,
    push_json_string, push_number, push_uuid,
};

/// A borrowed array, ready to be written cell by cell.
#[derive(Debug)]
pub(super) struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    cells: Cells<'a>,
}

#[derive(Debug)]
enum Cells<'a> {
    Text {
        texts: &'a StringArray,
        /// No text of the batch needs an escape, so that none need be looked through.
        clean: bool,
    },
    /// Texts that are JSON already.
    Json(&'a StringArray),
    Integer(&'a [i64]),
    Number(&'a [f64]),
    Decimal(&'a [i128], i8),
    Boolean(&'a BooleanArray),
    Date(&'a [i32]),
    Datetime(&'a [i64]),
    Uuid(&'a FixedSizeBinaryArray),
    List(&'a ListArray, Box<Column<'a>>),
    Null,
}

/// Whether an Arrow field holds JSON texts, by its extension type.
pub(super) fn is_json(field: &Field) -> bool {
    field
        .metadata()
        .get("ARROW:extension:name")
        .is_some_and(|name| name == "arrow.json")
}

impl<'a> Column<'a> {
    /// Finds out the type of an array; `json` says that its texts are JSON.
    pub(super) fn new(array: &'a ArrayRef, json: bool) -> Result<Self, EncodeError> {
        let cells = match array.data_type() {
            DataType::Utf8 if json => Cells::Json(array.as_string()),
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                Cells::Text {
                    texts,
                    clean: is_clean(texts),
                }
            }
            DataType::Int64 => Cells::Integer(array.as_primitive::<Int64Type>().values()),
            DataType::Float64 => Cells::Number(array.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(_, scale) => {
                Cells::Decimal(array.as_primitive::<Decimal128Type>().values(), *scale)
            }
            DataType::Boolean => Cells::Boolean(array.as_boolean()),
            DataType::Date32 => Cells::Date(array.as_primitive::<Date32Type>().values()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Cells::Datetime(array.as_primitive::<TimestampMicrosecondType>().values())
            }
            DataType::FixedSizeBinary(16) => Cells::Uuid(array.as_fixed_size_binary()),
            DataType::List(item) => {
                let lists = array.as_list::<i32>();
                let items = Self::new(lists.values(), is_json(item))?;
                Cells::List(lists, Box::new(items))
            }
            DataType::Null => Cells::Null,
            other => return Err(EncodeError::Layout(format!("no record holds {other}"))),
        };
        Ok(Self {
            nulls: array.nulls(),
            cells,
        })
    }

    #[inline]
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// Appends a cell as a JSON value.
    #[inline]
    pub(super) fn push_json(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.cells {
            Cells::Text { texts, clean: true } => {
                out.push(b'"');
                out.extend_from_slice(texts.value(row).as_bytes());
                out.push(b'"');
            }
            Cells::Text { texts, .. } => push_json_string(out, texts.value(row)),
            Cells::Decimal(..) | Cells::Date(_) | Cells::Datetime(_) | Cells::Uuid(_) => {
                out.push(b'"');
                self.push_bare(row, out);
                out.push(b'"');
            }
            _ => self.push_bare(row, out),
        }
    }

    /// Appends a cell that is not null as bare text, without quotes; lists as JSON.
    #[inline]
    pub(super) fn push_bare(&self, row: usize, out: &mut Vec<u8>) {
        match &self.cells {
            Cells::Text { texts, .. } | Cells::Json(texts) => {
                out.extend_from_slice(texts.value(row).as_bytes());
            }
            Cells::Integer(values) => push_integer(out, values[row]),
            Cells::Number(values) => push_number(out, values[row]),
            Cells::Decimal(values, scale) => push_decimal(out, values[row], *scale),
            Cells::Boolean(values) => push_boolean(out, values.value(row)),
            Cells::Date(values) => push_date(out, values[row]),
            Cells::Datetime(values) => push_datetime(out, values[row]),
            Cells::Uuid(values) => push_uuid(out, uuid(values, row)),
            Cells::List(lists, items) => push_list(lists, items, row, out),
            Cells::Null => out.extend_from_slice(b"null"),
        }
    }

    /// Appends a cell as a CSV field: nothing for null, quoted only where it must be.
    pub(super) fn push_csv(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return;
        }
        match &self.cells {
            Cells::Text { texts, .. } | Cells::Json(texts) => push_csv_text(out, texts.value(row)),
            Cells::List(lists, items) => {
                let mut json = Vec::new();
                push_list(lists, items, row, &mut json);
                push_csv_text(out, &String::from_utf8_lossy(&json));
            }
            Cells::Null => {}
            _ => self.push_bare(row, out),
        }
    }
}

#[inline]
fn uuid(values: &FixedSizeBinaryArray, row: usize) -> [u8; 16] {
    values.value(row).try_into().unwrap_or_default()
}

/// Whether no text of an array needs an escape: one pass over their bytes as they lie.
fn is_clean(texts: &StringArray) -> bool {
    let offsets = texts.value_offsets();
    let index = |offset: Option<&i32>| usize::try_from(*offset.unwrap_or(&0)).unwrap_or(0);
    let (from, to) = (index(offsets.first()), index(offsets.last()));
    // In blocks, so that a dirty column is found out soon.
    texts.value_data()[from..to]
        .chunks(4_096)
        .all(|block| !needs_escape(block))
}

fn push_list(lists: &ListArray, items: &Column<'_>, row: usize, out: &mut Vec<u8>) {
    let offsets = lists.value_offsets();
    let bound = |at: usize| usize::try_from(offsets[at]).unwrap_or(0);
    out.push(b'[');
    for (index, item) in (bound(row)..bound(row + 1)).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        items.push_json(item, out);
    }
    out.push(b']');
}

/// Appends a CSV field by RFC 4180. The empty text is quoted, so that it is not null.
pub(super) fn push_csv_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    if !bytes.is_empty() && !bytes.iter().any(special) {
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    for part in bytes.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}
