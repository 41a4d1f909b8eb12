//! Columns that grow value by value and become Arrow arrays.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array,
    Int64Array, ListArray, StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef};

use staffa_domain::schema::{DecimalSize, PropertyType};
use staffa_domain::value::Value;

/// The values of a column, nulls included as zeros.
#[derive(Debug)]
pub(super) enum Values {
    Text(Texts),
    Object(Texts),
    Integer(Vec<i64>),
    Number(Vec<f64>),
    Decimal(Vec<i128>, DecimalSize),
    Boolean(BooleanBufferBuilder),
    Date(Vec<i32>),
    Datetime(Vec<i64>),
    Uuid(Vec<[u8; 16]>),
    List(Vec<i32>, Box<Column>),
}

/// Texts end to end, and where each ends.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) bytes: Vec<u8>,
    ends: Vec<i32>,
}

impl Texts {
    fn new(rows: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self {
            // One text alone is of any length: it should not grow from almost nothing.
            bytes: Vec::with_capacity((rows * 8).max(64)),
            ends,
        }
    }

    /// Ends the text whose bytes were appended.
    #[inline]
    pub(super) fn end(&mut self) {
        self.ends.push(offset(self.bytes.len()));
    }

    /// Drops the bytes that were appended since the last text ended.
    pub(super) fn undo(&mut self) {
        let end = self.ends.last().copied().unwrap_or(0);
        self.bytes.truncate(usize::try_from(end).unwrap_or(0));
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len + 1);
        self.undo();
    }
}

/// An offset into a column's bytes or items. Batches end long before 2 GiB.
#[inline]
fn offset(len: usize) -> i32 {
    i32::try_from(len).expect("a batch holds less than 2 GiB of one property")
}

/// One property of the records that are being read.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) values: Values,
    nulls: NullBufferBuilder,
    property_type: PropertyType,
}

impl Column {
    pub(super) fn new(property_type: &PropertyType, rows: usize) -> Self {
        Self {
            values: Values::new(property_type, rows),
            nulls: NullBufferBuilder::new(rows),
            property_type: property_type.clone(),
        }
    }

    pub(super) const fn property_type(&self) -> &PropertyType {
        &self.property_type
    }

    pub(super) fn len(&self) -> usize {
        self.nulls.len()
    }

    /// Counts the value that was just appended to `values`.
    #[inline]
    pub(super) fn count_value(&mut self) {
        self.nulls.append_non_null();
    }

    #[inline]
    pub(super) fn push_null(&mut self) {
        self.nulls.append_null();
        match &mut self.values {
            Values::Text(texts) | Values::Object(texts) => texts.end(),
            Values::Integer(values) | Values::Datetime(values) => values.push(0),
            Values::Number(values) => values.push(0.0),
            Values::Decimal(values, _) => values.push(0),
            Values::Boolean(values) => values.append(false),
            Values::Date(values) => values.push(0),
            Values::Uuid(values) => values.push([0; 16]),
            Values::List(ends, items) => ends.push(offset(items.len())),
        }
    }

    /// Ends the list whose items were appended.
    pub(super) fn end_list(&mut self) {
        if let Values::List(ends, items) = &mut self.values {
            ends.push(offset(items.len()));
            self.nulls.append_non_null();
        }
    }

    /// Appends a value that has the column's type, or a null.
    pub(super) fn push(&mut self, value: &Value) {
        match (&mut self.values, value) {
            (Values::Text(texts), Value::String(text))
            | (Values::Object(texts), Value::Object(text)) => {
                texts.bytes.extend_from_slice(text.as_bytes());
                texts.end();
            }
            (Values::Integer(values), Value::Integer(value)) => values.push(*value),
            (Values::Number(values), Value::Number(value)) => values.push(*value),
            (Values::Decimal(values, _), Value::Decimal(value)) => values.push(*value),
            (Values::Boolean(values), Value::Boolean(value)) => values.append(*value),
            (Values::Date(values), Value::Date(value)) => values.push(*value),
            (Values::Datetime(values), Value::Datetime(value)) => values.push(value.as_micros()),
            (Values::Uuid(values), Value::Uuid(value)) => values.push(*value.as_bytes()),
            (Values::List(ends, items), Value::Array(list)) => {
                list.iter().for_each(|item| items.push(item));
                ends.push(offset(items.len()));
            }
            _ => return self.push_null(),
        }
        self.nulls.append_non_null();
    }

    /// Keeps the first `len` values, and nothing of one that was begun.
    pub(super) fn truncate(&mut self, len: usize) {
        self.nulls.truncate(len.min(self.nulls.len()));
        match &mut self.values {
            Values::Text(texts) | Values::Object(texts) => texts.truncate(len),
            Values::Integer(values) | Values::Datetime(values) => values.truncate(len),
            Values::Number(values) => values.truncate(len),
            Values::Decimal(values, _) => values.truncate(len),
            Values::Boolean(values) => values.truncate(len),
            Values::Date(values) => values.truncate(len),
            Values::Uuid(values) => values.truncate(len),
            Values::List(ends, items) => {
                ends.truncate(len + 1);
                let end = ends.last().copied().unwrap_or(0);
                items.truncate(usize::try_from(end).unwrap_or(0));
            }
        }
    }

    /// Gives the column as an array of the field's type and starts it anew.
    pub(super) fn finish(&mut self, data_type: &DataType, is_last: bool) -> ArrayRef {
        // The next batch, if there is one, is most likely of the size of this one.
        let mut next = Values::new(&self.property_type, if is_last { 0 } else { self.len() });
        if let (false, Some(now), Some(next)) = (is_last, self.values.texts(), next.texts()) {
            next.bytes.reserve(now.bytes.len());
        }
        let values = std::mem::replace(&mut self.values, next);
        let nulls = self.nulls.finish();
        match values {
            Values::Text(texts) | Values::Object(texts) => {
                let ends = OffsetBuffer::new(ScalarBuffer::from(texts.ends));
                Arc::new(StringArray::new(ends, Buffer::from_vec(texts.bytes), nulls))
            }
            Values::Integer(values) => Arc::new(Int64Array::new(values.into(), nulls)),
            Values::Number(values) => Arc::new(Float64Array::new(values.into(), nulls)),
            Values::Decimal(values, _) => Arc::new(
                Decimal128Array::new(values.into(), nulls).with_data_type(data_type.clone()),
            ),
            Values::Boolean(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Date(values) => Arc::new(Date32Array::new(values.into(), nulls)),
            Values::Datetime(values) => {
                Arc::new(TimestampMicrosecondArray::new(values.into(), nulls))
            }
            Values::Uuid(values) => {
                let bytes = Buffer::from_vec(values.into_flattened());
                Arc::new(FixedSizeBinaryArray::new(16, bytes, nulls))
            }
            Values::List(ends, mut items) => {
                let field = item_field(data_type);
                let array = items.finish(field.data_type(), is_last);
                let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
                Arc::new(ListArray::new(field, ends, array, nulls))
            }
        }
    }
}

fn item_field(data_type: &DataType) -> FieldRef {
    match data_type {
        DataType::List(field) => Arc::clone(field),
        _ => unreachable!("the layout has a list wherever the schema has an array"),
    }
}

impl Values {
    const fn texts(&mut self) -> Option<&mut Texts> {
        match self {
            Self::Text(texts) | Self::Object(texts) => Some(texts),
            _ => None,
        }
    }

    fn new(property_type: &PropertyType, rows: usize) -> Self {
        match property_type {
            PropertyType::String => Self::Text(Texts::new(rows)),
            PropertyType::Object => Self::Object(Texts::new(rows)),
            PropertyType::Integer => Self::Integer(Vec::with_capacity(rows)),
            PropertyType::Number => Self::Number(Vec::with_capacity(rows)),
            PropertyType::Decimal(size) => Self::Decimal(Vec::with_capacity(rows), *size),
            PropertyType::Boolean => Self::Boolean(BooleanBufferBuilder::new(rows)),
            PropertyType::Date => Self::Date(Vec::with_capacity(rows)),
            PropertyType::Datetime => Self::Datetime(Vec::with_capacity(rows)),
            PropertyType::Uuid => Self::Uuid(Vec::with_capacity(rows)),
            PropertyType::Array(items) => {
                let mut ends = Vec::with_capacity(rows + 1);
                ends.push(0);
                Self::List(ends, Box::new(Column::new(items, rows)))
            }
        }
    }
}
