//! Arrow and Parquet as a sample.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};
use bytes::Bytes;

use staffa_domain::infer::{Digits, Kinds, Marks, Sample, Scalar};
use staffa_domain::schema::{self, DecimalSize, PropertyType};

use super::scalar::{of_number, of_text};
use crate::decode::arrow::{
    Bounds, DAMAGED, Flaw, StreamBatches, convert, hold, malformed_parquet, open_file,
};
use crate::decode::{DecodeError, DecodeOptions};

/// The digits of a 64-bit integer without a sign.
const UNSIGNED: DecimalSize = DecimalSize {
    precision: 20,
    scale: 0,
};

/// Counts the records of an Arrow IPC stream.
#[derive(Debug)]
pub(super) struct StreamSample {
    batches: StreamBatches,
    rows: Rows,
}

impl StreamSample {
    pub(super) fn new(sample: Sample, options: DecodeOptions) -> Self {
        Self {
            batches: StreamBatches::new(options.held_bytes_max),
            rows: Rows::new(sample, options),
        }
    }

    pub(super) fn push(&mut self, mut chunk: &[u8]) -> Result<(), DecodeError> {
        while self.batches.read(&mut chunk)? {
            if let Some(schema) = self.batches.schema() {
                self.rows
                    .start(schema.fields().iter().map(|field| &**field));
            }
            while let Some(batch) = self.batches.next(self.rows.options.batch_rows.max(1)) {
                self.rows.read(&batch);
            }
        }
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<(), DecodeError> {
        self.batches.finish()
    }

    pub(super) const fn sample(&self) -> &Sample {
        &self.rows.sample
    }

    pub(super) fn into_sample(self) -> Sample {
        self.rows.sample
    }
}

/// Counts the records of a Parquet file, once all of it is there.
#[derive(Debug)]
pub(super) struct FileSample {
    body: Vec<u8>,
    rows: Rows,
}

impl FileSample {
    pub(super) const fn new(sample: Sample, options: DecodeOptions) -> Self {
        Self {
            body: Vec::new(),
            rows: Rows::new(sample, options),
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        hold(&mut self.body, chunk, self.rows.options.held_bytes_max)
    }

    pub(super) fn end(&mut self) -> Result<(), DecodeError> {
        let body = Bytes::from(std::mem::take(&mut self.body));
        let rows = &mut self.rows;
        // Some of what a file says of itself the reader asserts instead of checking it.
        let read = panic::catch_unwind(AssertUnwindSafe(|| rows.read_file(body)));
        read.unwrap_or_else(|_| Err(malformed_parquet(DAMAGED)))
    }

    pub(super) const fn sample(&self) -> &Sample {
        &self.rows.sample
    }

    pub(super) fn into_sample(self) -> Sample {
        self.rows.sample
    }
}

/// How the values of one source are read.
#[derive(Debug)]
enum Reading {
    /// As this type, laid out so; with what the source says beyond that.
    As(PropertyType, DataType, Nature),
    /// All are null.
    Null,
    /// By no type.
    Not(String),
}

/// What the source says of values beyond their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    Plain,
    /// Integers without a sign, read as decimals.
    Unsigned,
    /// JSON in texts.
    Json,
}

#[derive(Debug)]
struct Rows {
    sample: Sample,
    options: DecodeOptions,
    /// The property of each source and how it is read, once the schema is known.
    readings: Option<Vec<(Option<usize>, Reading)>>,
}

impl Rows {
    const fn new(sample: Sample, options: DecodeOptions) -> Self {
        Self {
            sample,
            options,
            readings: None,
        }
    }

    fn start<'a>(&mut self, fields: impl Iterator<Item = &'a Field>) {
        if self.readings.is_some() {
            return;
        }
        let mut readings: Vec<(Option<usize>, Reading)> = Vec::new();
        for field in fields {
            let at = self.sample.property(field.name());
            if let Some(at) = at
                && readings.iter().any(|(other, _)| *other == Some(at))
            {
                self.sample.refuse(at, "the name comes twice");
                readings.push((None, Reading::Null));
            } else {
                readings.push((at, reading(field)));
            }
        }
        self.readings = Some(readings);
    }

    fn read_file(&mut self, body: Bytes) -> Result<(), DecodeError> {
        let (builder, _) = open_file(body, &self.options)?;
        let schema = Arc::clone(builder.schema());
        self.start(schema.fields().iter().map(|field| &**field));
        let damaged = |_| malformed_parquet(DAMAGED);
        for batch in builder.build().map_err(damaged)? {
            self.read(&batch.map_err(|_| malformed_parquet(DAMAGED))?);
            if self.sample.is_cut() {
                break;
            }
        }
        Ok(())
    }

    fn read(&mut self, batch: &RecordBatch) {
        let readings = self.readings.take().unwrap_or_default();
        let bounds = Bounds {
            depth_max: self.options.depth_max,
            bytes_max: self.options.held_bytes_max,
        };
        let sources: Vec<_> = readings
            .iter()
            .zip(batch.columns())
            .filter_map(|((at, reading), array)| {
                let values = Values::new(array, reading, bounds);
                at.map(|at| (at, values))
            })
            .collect();
        for row in 0..batch.num_rows() {
            if self.sample.is_full() {
                self.sample.cut();
                break;
            }
            for (at, values) in &sources {
                values.count(&mut self.sample, *at, row);
            }
            self.sample.end_row();
        }
        self.readings = Some(readings);
    }
}

fn reading(field: &Field) -> Reading {
    let data_type = match field.data_type() {
        DataType::Dictionary(_, values) => values.as_ref(),
        DataType::RunEndEncoded(_, values) => values.data_type(),
        other => other,
    };
    if data_type == &DataType::Null {
        return Reading::Null;
    }
    let found = match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let item = scalar_type(item.data_type());
            item.map(|(items, nature)| (PropertyType::Array(Box::new(items)), nature))
        }
        other => scalar_type(other),
    };
    let Some((kind, mut nature)) = found else {
        return Reading::Not(format!("has the type {data_type}, which cannot be read"));
    };
    let extension = field.metadata().get("ARROW:extension:name");
    if kind == PropertyType::String && extension.is_some_and(|name| name == "arrow.json") {
        nature = Nature::Json;
    }
    let layout = schema::data_type(&kind);
    Reading::As(kind, layout, nature)
}

fn scalar_type(data_type: &DataType) -> Option<(PropertyType, Nature)> {
    let kind = match data_type {
        DataType::UInt64 => return Some((PropertyType::Decimal(UNSIGNED), Nature::Unsigned)),
        integer if integer.is_integer() => PropertyType::Integer,
        float if float.is_floating() => PropertyType::Number,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if *precision <= 38 && (0..=i16::from(*precision)).contains(&i16::from(*scale)) =>
        {
            PropertyType::Decimal(DecimalSize {
                precision: *precision,
                scale: *scale,
            })
        }
        DataType::Boolean => PropertyType::Boolean,
        DataType::Date32 | DataType::Date64 => PropertyType::Date,
        DataType::Timestamp(..) => PropertyType::Datetime,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => PropertyType::String,
        DataType::FixedSizeBinary(16) => PropertyType::Uuid,
        _ => return None,
    };
    Some((kind, Nature::Plain))
}

/// The values of one source in one batch, as they would be stored.
enum Values {
    Read {
        array: ArrayRef,
        kind: PropertyType,
        nature: Nature,
        /// The rows of values that do not fit, in their order, and why.
        flaws: Vec<Flaw>,
    },
    Null,
    Not(ArrayRef, String),
}

impl Values {
    fn new(source: &ArrayRef, reading: &Reading, bounds: Bounds) -> Self {
        let (kind, layout, nature) = match reading {
            Reading::As(kind, layout, nature) => (kind, layout, *nature),
            Reading::Null => return Self::Null,
            Reading::Not(why) => return Self::Not(ArrayRef::clone(source), why.clone()),
        };
        if nature == Nature::Json
            && let Ok(objects) = convert(source, &PropertyType::Object, layout, bounds)
            && objects.flaws.is_empty()
        {
            return Self::Read {
                array: objects.array,
                kind: PropertyType::Object,
                nature,
                flaws: Vec::new(),
            };
        }
        match convert(source, kind, layout, bounds) {
            Ok(converted) => Self::Read {
                array: converted.array,
                kind: kind.clone(),
                nature,
                flaws: converted.flaws,
            },
            Err(why) => Self::Not(ArrayRef::clone(source), why),
        }
    }

    fn count(&self, sample: &mut Sample, at: usize, row: usize) {
        match self {
            Self::Read {
                array,
                kind,
                nature,
                flaws,
            } => {
                if let Ok(flaw) = flaws.binary_search_by_key(&row, |flaw| flaw.row) {
                    sample.refuse(at, flaws[flaw].message.as_str());
                } else if array.is_valid(row) {
                    count_value(sample, at, (array, row), (kind, *nature));
                }
            }
            Self::Not(source, why) if source.is_valid(row) => sample.refuse(at, why.as_str()),
            Self::Null | Self::Not(..) => {}
        }
    }
}

fn count_value(
    sample: &mut Sample,
    at: usize,
    (array, row): (&ArrayRef, usize),
    (kind, nature): (&PropertyType, Nature),
) {
    let PropertyType::Array(items) = kind else {
        let tell = &mut |scalar: &Scalar<'_>| sample.value(at, scalar);
        return tell_scalar((array, row), (kind, nature), tell);
    };
    let values = array.as_list::<i32>().value(row);
    for item in 0..values.len() {
        let tell = &mut |scalar: &Scalar<'_>| sample.item(at, scalar);
        tell_scalar((&values, item), (items, nature), tell);
    }
    sample.list(at, None);
}

/// Tells of a value of an array that is laid out as a type.
fn tell_scalar(
    (array, row): (&ArrayRef, usize),
    (kind, nature): (&PropertyType, Nature),
    tell: &mut dyn FnMut(&Scalar<'_>),
) {
    match kind {
        PropertyType::Integer => {
            let value = array.as_primitive::<Int64Type>().value(row);
            tell(&of_number(itoa::Buffer::new().format(value).as_bytes()));
        }
        PropertyType::Decimal(_) if nature == Nature::Unsigned => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            tell(&of_number(itoa::Buffer::new().format(value).as_bytes()));
        }
        PropertyType::Decimal(size) => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            let bytes = value.to_le_bytes();
            let mut scalar = Scalar::new(Kinds::DECIMAL, &bytes);
            let scale = u32::try_from(size.scale).unwrap_or(0);
            scalar.digits = Digits {
                whole: u32::from(size.precision).saturating_sub(scale),
                fraction: scale,
            };
            scalar.marks = Marks::DECLARED;
            tell(&scalar);
        }
        PropertyType::Number => {
            let value = array.as_primitive::<Float64Type>().value(row);
            tell(&Scalar::new(Kinds::NUMBER, &value.to_bits().to_le_bytes()));
        }
        PropertyType::Boolean => {
            let value = array.as_boolean().value(row);
            tell(&Scalar::new(Kinds::BOOLEAN, &[u8::from(value)]));
        }
        PropertyType::Date => {
            let value = array.as_primitive::<Date32Type>().value(row);
            tell(&Scalar::new(Kinds::DATE, &value.to_le_bytes()));
        }
        PropertyType::Datetime => {
            let value = array.as_primitive::<TimestampMicrosecondType>().value(row);
            tell(&Scalar::new(Kinds::DATETIME, &value.to_le_bytes()));
        }
        PropertyType::Uuid => {
            let value = array.as_fixed_size_binary().value(row);
            tell(&Scalar::new(Kinds::UUID, value));
        }
        PropertyType::Object => {
            let text = array.as_string::<i32>().value(row).as_bytes();
            tell(&Scalar::new(Kinds::OBJECT | Kinds::STRING, text));
        }
        PropertyType::String | PropertyType::Array(_) => {
            let text = array.as_string::<i32>().value(row).as_bytes();
            // One that cannot be stored was found to be a flaw before.
            tell(&of_text(text).unwrap_or(Scalar::new(Kinds::NONE, text)));
        }
    }
}
