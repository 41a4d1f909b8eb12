//! From Arrow to binary values and COPY BINARY rows.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{
    Array, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array,
    Int64Array, ListArray, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, TimeUnit};
use bytes::{BufMut, BytesMut};

use staffa_domain::{PropertyType, Value};

use crate::copy::numeric::put_numeric;
use crate::copy::{CodecError, EPOCH_DAYS, EPOCH_MICROS};
use crate::types;

/// One array of a batch, its type found out once.
#[derive(Debug)]
pub(crate) enum Column<'a> {
    Text(&'a StringArray),
    Integer(&'a Int64Array),
    Number(&'a Float64Array),
    Decimal(&'a Decimal128Array, u32),
    Boolean(&'a BooleanArray),
    Date(&'a Date32Array),
    Datetime(&'a TimestampMicrosecondArray),
    Uuid(&'a FixedSizeBinaryArray),
    List {
        list: &'a ListArray,
        items: Box<Column<'a>>,
        oid: u32,
    },
}

impl<'a> Column<'a> {
    /// Looks at an array; fails for a type that no property has.
    pub(crate) fn new(array: &'a dyn Array) -> Result<Self, CodecError> {
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Int64 => Self::Integer(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Self::Number(array.as_primitive::<Float64Type>()),
            DataType::Decimal128(_, scale) => {
                let scale = u32::try_from(*scale).map_err(|_| CodecError::new("negative scale"))?;
                Self::Decimal(array.as_primitive::<Decimal128Type>(), scale)
            }
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Datetime(array.as_primitive::<TimestampMicrosecondType>())
            }
            DataType::FixedSizeBinary(16) => Self::Uuid(array.as_fixed_size_binary()),
            DataType::List(field) => {
                let list = array.as_list::<i32>();
                let item = types::item_type(field.data_type())
                    .ok_or_else(|| CodecError::new(format!("list of {}", field.data_type())))?;
                Self::List {
                    list,
                    items: Box::new(Self::new(&**list.values())?),
                    oid: item.oid(),
                }
            }
            other => return Err(CodecError::new(format!("no property is a {other}"))),
        })
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(array) => array.is_null(row),
            Self::Integer(array) => array.is_null(row),
            Self::Number(array) => array.is_null(row),
            Self::Decimal(array, _) => array.is_null(row),
            Self::Boolean(array) => array.is_null(row),
            Self::Date(array) => array.is_null(row),
            Self::Datetime(array) => array.is_null(row),
            Self::Uuid(array) => array.is_null(row),
            Self::List { list, .. } => list.is_null(row),
        }
    }

    /// Writes a value with its length before it; a null is the length -1.
    pub(crate) fn put_field(&self, row: usize, out: &mut BytesMut) {
        if self.is_null(row) {
            out.put_i32(-1);
            return;
        }
        with_length(out, |out| self.put(row, out));
    }

    fn put(&self, row: usize, out: &mut BytesMut) {
        match self {
            Self::Text(array) => out.put_slice(array.value(row).as_bytes()),
            Self::Integer(array) => out.put_i64(array.value(row)),
            Self::Number(array) => out.put_f64(array.value(row)),
            Self::Decimal(array, scale) => put_numeric(array.value(row), *scale, out),
            Self::Boolean(array) => out.put_u8(u8::from(array.value(row))),
            Self::Date(array) => put_date(array.value(row), out),
            Self::Datetime(array) => put_datetime(array.value(row), out),
            Self::Uuid(array) => out.put_slice(array.value(row)),
            Self::List { list, items, oid } => {
                let offsets = list.value_offsets();
                let range = index(offsets[row])..index(offsets[row + 1]);
                let nulls = range.clone().any(|item| items.is_null(item));
                put_array_head(range.len(), nulls, *oid, out);
                for item in range {
                    items.put_field(item, out);
                }
            }
        }
    }
}

fn index(offset: i32) -> usize {
    usize::try_from(offset).expect("list offsets are not negative")
}

fn put_date(days: i32, out: &mut BytesMut) {
    out.put_i32(days - EPOCH_DAYS);
}

fn put_datetime(micros: i64, out: &mut BytesMut) {
    out.put_i64(micros - EPOCH_MICROS);
}

/// The head of a one-dimensional array; an empty one has no dimension.
pub(super) fn put_array_head(len: usize, nulls: bool, oid: u32, out: &mut BytesMut) {
    out.put_i32(i32::from(len > 0));
    out.put_i32(i32::from(nulls));
    out.put_u32(oid);
    if len > 0 {
        out.put_i32(i32::try_from(len).expect("fewer items than a batch may have"));
        out.put_i32(1);
    }
}

/// Writes what `body` writes, with its length before it.
pub(super) fn with_length(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_i32(0);
    body(out);
    let len = i32::try_from(out.len() - start - 4).expect("a record is far below 2 GiB");
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

/// Writes one value that stands alone, such as the operand of a filter.
pub(super) fn put_value(value: &Value, kind: &PropertyType, out: &mut BytesMut) {
    match value {
        Value::String(text) | Value::Object(text) => out.put_slice(text.as_bytes()),
        Value::Integer(number) => out.put_i64(*number),
        Value::Number(number) => out.put_f64(*number),
        Value::Decimal(unscaled) => {
            let scale = match kind {
                PropertyType::Decimal(size) => u32::try_from(size.scale).unwrap_or(0),
                _ => 0,
            };
            put_numeric(*unscaled, scale, out);
        }
        Value::Boolean(flag) => out.put_u8(u8::from(*flag)),
        Value::Date(days) => put_date(*days, out),
        Value::Datetime(at) => put_datetime(at.as_micros(), out),
        Value::Uuid(id) => out.put_slice(id.as_bytes()),
        // Neither reaches a parameter: operands are scalars and never null.
        Value::Null | Value::Array(_) => {}
    }
}

/// Appends one COPY BINARY row: the number of fields, then each field.
pub(crate) fn put_row(columns: &[Column<'_>], row: usize, out: &mut BytesMut) {
    out.put_i16(i16::try_from(columns.len()).expect("a table has at most 1,600 columns"));
    for column in columns {
        column.put_field(row, out);
    }
}
