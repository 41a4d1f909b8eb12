//! From binary values and result rows to Arrow.

use std::error::Error;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder, Float64Builder,
    Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, ListArray, RecordBatch, RecordBatchOptions};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::{DataType, FieldRef, SchemaRef, TimeUnit};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use staffa_domain::record::{DATE_MAX, DATE_MIN, Timestamp};

use crate::copy::numeric::read_numeric;
use crate::copy::{CodecError, EPOCH_DAYS, EPOCH_MICROS, HEADER};

/// Record batches in the making from rows of binary values.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    layout: SchemaRef,
    columns: Vec<Builder>,
    len: usize,
    bytes: usize,
}

impl BatchBuilder {
    pub(crate) fn new(layout: SchemaRef) -> Result<Self, CodecError> {
        let columns = layout.fields().iter();
        let columns = columns.map(|field| Builder::new(field.data_type()));
        let columns = columns.collect::<Result<_, _>>()?;
        Ok(Self {
            layout,
            columns,
            len: 0,
            bytes: 0,
        })
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many bytes the values took on their way here.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds one result row, whose columns are laid out as the batch.
    pub(crate) fn push(&mut self, row: &Row) -> Result<(), CodecError> {
        for (place, column) in self.columns.iter_mut().enumerate() {
            let raw: Raw<'_> = row
                .try_get(place)
                .map_err(|error| CodecError::new(error.to_string()))?;
            column.push(raw.0)?;
            self.bytes += raw.0.map_or(0, <[u8]>::len);
        }
        self.len += 1;
        Ok(())
    }

    /// Adds the COPY BINARY row at the front, and moves behind it; false at the trailer.
    pub(crate) fn push_copied(&mut self, rows: &mut &[u8]) -> Result<bool, CodecError> {
        let short = || CodecError::new("row is cut short");
        let count = take::<2>(rows).map(i16::from_be_bytes).ok_or_else(short)?;
        if count < 0 {
            return Ok(false);
        }
        if usize::try_from(count) != Ok(self.columns.len()) {
            return Err(CodecError::new("row has another number of fields"));
        }
        for column in &mut self.columns {
            let raw = take_field(rows)?;
            column.push(raw)?;
            self.bytes += raw.map_or(0, <[u8]>::len);
        }
        self.len += 1;
        Ok(true)
    }

    /// The batch so far; the builder starts anew.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, CodecError> {
        let columns: Result<Vec<_>, _> = self.columns.iter_mut().map(Builder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.len));
        self.len = 0;
        self.bytes = 0;
        RecordBatch::try_new_with_options(Arc::clone(&self.layout), columns?, &options)
            .map_err(|error| CodecError::new(error.to_string()))
    }
}

/// Reads what a COPY sends: a header before the first row, whole rows in each message, a
/// trailer behind the last.
#[derive(Debug, Default)]
pub(crate) struct CopyDecoder {
    begun: bool,
    ended: bool,
}

impl CopyDecoder {
    pub(crate) fn push(
        &mut self,
        mut message: &[u8],
        batch: &mut BatchBuilder,
    ) -> Result<(), CodecError> {
        if !self.begun {
            message = message
                .strip_prefix(HEADER)
                .ok_or_else(|| CodecError::new("copy has another header"))?;
            self.begun = true;
        }
        while !message.is_empty() {
            if self.ended {
                return Err(CodecError::new("copy goes on behind its trailer"));
            }
            self.ended = !batch.push_copied(&mut message)?;
        }
        Ok(())
    }
}

/// The bytes of a value as they came.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[derive(Debug)]
enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Decimal(Decimal128Builder, u32),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Datetime(TimestampMicrosecondBuilder),
    Uuid(FixedSizeBinaryBuilder),
    List(Box<ListState>),
}

#[derive(Debug)]
struct ListState {
    field: FieldRef,
    items: Builder,
    lengths: Vec<usize>,
    nulls: NullBufferBuilder,
}

impl Builder {
    fn new(data_type: &DataType) -> Result<Self, CodecError> {
        Ok(match data_type {
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Float64 => Self::Number(Float64Builder::new()),
            DataType::Decimal128(_, scale) => {
                let builder = Decimal128Builder::new().with_data_type(data_type.clone());
                let scale = u32::try_from(*scale).map_err(|_| CodecError::new("negative scale"))?;
                Self::Decimal(builder, scale)
            }
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                Self::Datetime(TimestampMicrosecondBuilder::new())
            }
            DataType::FixedSizeBinary(16) => Self::Uuid(FixedSizeBinaryBuilder::new(16)),
            DataType::List(field) => Self::List(Box::new(ListState {
                field: Arc::clone(field),
                items: Self::new(field.data_type())?,
                lengths: Vec::new(),
                nulls: NullBufferBuilder::new(0),
            })),
            other => return Err(CodecError::new(format!("no property is a {other}"))),
        })
    }

    fn push(&mut self, raw: Option<&[u8]>) -> Result<(), CodecError> {
        let Some(raw) = raw else {
            self.push_null();
            return Ok(());
        };
        match self {
            Self::Text(builder) => {
                let text = std::str::from_utf8(raw);
                builder.append_value(text.map_err(|error| CodecError::new(error.to_string()))?);
            }
            Self::Integer(builder) => builder.append_value(i64::from_be_bytes(fixed(raw)?)),
            Self::Number(builder) => builder.append_value(f64::from_be_bytes(fixed(raw)?)),
            Self::Decimal(builder, scale) => builder.append_value(read_numeric(raw, *scale)?),
            Self::Boolean(builder) => builder.append_value(fixed::<1>(raw)? != [0]),
            Self::Date(builder) => {
                // Beyond are what no property can be, and the infinities.
                let days = i32::from_be_bytes(fixed(raw)?).checked_add(EPOCH_DAYS);
                let days = days.filter(|days| (DATE_MIN..=DATE_MAX).contains(days));
                builder.append_value(days.ok_or_else(out_of_range)?);
            }
            Self::Datetime(builder) => {
                let range = Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros();
                let micros = i64::from_be_bytes(fixed(raw)?).checked_add(EPOCH_MICROS);
                let micros = micros.filter(|micros| range.contains(micros));
                builder.append_value(micros.ok_or_else(out_of_range)?);
            }
            Self::Uuid(builder) => builder
                .append_value(fixed::<16>(raw)?)
                .map_err(|error| CodecError::new(error.to_string()))?,
            Self::List(state) => state.push(raw)?,
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Text(builder) => builder.append_null(),
            Self::Integer(builder) => builder.append_null(),
            Self::Number(builder) => builder.append_null(),
            Self::Decimal(builder, _) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Datetime(builder) => builder.append_null(),
            Self::Uuid(builder) => builder.append_null(),
            Self::List(state) => {
                state.lengths.push(0);
                state.nulls.append_null();
            }
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, CodecError> {
        Ok(match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Number(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder, _) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Datetime(builder) => Arc::new(builder.finish()),
            Self::Uuid(builder) => Arc::new(builder.finish()),
            Self::List(state) => Arc::new(state.finish()?),
        })
    }
}

impl ListState {
    fn push(&mut self, mut raw: &[u8]) -> Result<(), CodecError> {
        let short = || CodecError::new("array is cut short");
        let mut word = || {
            take::<4>(&mut raw)
                .map(i32::from_be_bytes)
                .ok_or_else(short)
        };
        let dimensions = word()?;
        let (_nulls, _oid) = (word()?, word()?);
        let len = match dimensions {
            0 => 0,
            1 => {
                let len = word()?;
                let _lower_bound = word()?;
                usize::try_from(len).map_err(|_| short())?
            }
            _ => return Err(CodecError::new("array has several dimensions")),
        };
        for _ in 0..len {
            self.items.push(take_field(&mut raw)?)?;
        }
        if !raw.is_empty() {
            return Err(CodecError::new("array goes on behind its items"));
        }
        self.lengths.push(len);
        self.nulls.append_non_null();
        Ok(())
    }

    fn finish(&mut self) -> Result<ListArray, CodecError> {
        let offsets = OffsetBuffer::from_lengths(self.lengths.drain(..));
        let items = self.items.finish()?;
        ListArray::try_new(Arc::clone(&self.field), offsets, items, self.nulls.finish())
            .map_err(|error| CodecError::new(error.to_string()))
    }
}

fn fixed<const N: usize>(raw: &[u8]) -> Result<[u8; N], CodecError> {
    raw.try_into()
        .map_err(|_| CodecError::new(format!("value has {} bytes and not {N}", raw.len())))
}

fn take<const N: usize>(raw: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = raw.split_first_chunk::<N>()?;
    *raw = rest;
    Some(*head)
}

fn take_field<'a>(raw: &mut &'a [u8]) -> Result<Option<&'a [u8]>, CodecError> {
    let short = || CodecError::new("field is cut short");
    let len = take::<4>(raw).map(i32::from_be_bytes).ok_or_else(short)?;
    if len < 0 {
        return Ok(None);
    }
    let len = usize::try_from(len).map_err(|_| short())?;
    let (field, rest) = raw.split_at_checked(len).ok_or_else(short)?;
    *raw = rest;
    Ok(Some(field))
}

fn out_of_range() -> CodecError {
    CodecError::new("time is out of range")
}
