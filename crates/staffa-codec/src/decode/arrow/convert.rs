//! One Arrow array as a property's type, with every value that does not fit.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_cast::cast;
use arrow_schema::DataType;

use staffa_domain::error::RecordErrorCode;
use staffa_domain::record::{DATE_MAX, DATE_MIN, Timestamp};
use staffa_domain::schema::{Property, PropertyType};

use super::expand::check_expansion;
use super::list::convert_list;
use crate::decode::column::{Column, Values};
use crate::decode::cursor::Cursor;
use crate::decode::rows::excerpt;
use crate::decode::walk::Walker;
use crate::text::parse::{self, ParseProblem};

/// What a conversion may take.
#[derive(Debug, Clone, Copy)]
pub(in crate::decode) struct Bounds {
    /// How deep an object may nest.
    pub(in crate::decode) depth_max: usize,
    /// The most bytes of a column that takes more than its source.
    pub(in crate::decode) bytes_max: usize,
}

/// A value that does not fit, and stands as null.
#[derive(Debug)]
pub(in crate::decode) struct Flaw {
    pub(in crate::decode) row: usize,
    pub(super) pointer: String,
    pub(super) code: RecordErrorCode,
    pub(in crate::decode) message: String,
    pub(super) value: Option<String>,
}

impl Flaw {
    pub(super) fn new(row: usize, problem: ParseProblem) -> Self {
        Self {
            row,
            pointer: String::new(),
            code: problem.code,
            message: problem.message,
            value: None,
        }
    }
}

/// An array of the property's type, and what did not fit.
#[derive(Debug)]
pub(in crate::decode) struct Converted {
    pub(in crate::decode) array: ArrayRef,
    pub(in crate::decode) flaws: Vec<Flaw>,
}

/// A column that the source does not have: the default, or null.
pub(super) fn repeat(property: &Property, data_type: &DataType, len: usize) -> ArrayRef {
    let mut column = Column::new(&property.property_type, len);
    for _ in 0..len {
        match &property.default {
            Some(value) => column.push(value),
            None => column.push_null(),
        }
    }
    column.finish(data_type, true)
}

/// Makes an array one of `target`, the layout of `kind`; an error when no value could fit.
pub(in crate::decode) fn convert(
    source: &ArrayRef,
    kind: &PropertyType,
    target: &DataType,
    bounds: Bounds,
) -> Result<Converted, String> {
    check_expansion(source, bounds.bytes_max)?;
    let source = match source.data_type() {
        DataType::Dictionary(_, values) => by_cast(source, values)?,
        DataType::RunEndEncoded(_, values) => by_cast(source, values.data_type())?,
        _ => Arc::clone(source),
    };
    let from = source.data_type();
    let is_text = matches!(
        from,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    );
    let is_castable = match kind {
        _ if from == &DataType::Null => true,
        PropertyType::Array(items) => return convert_list(&source, items, target, bounds),
        _ if is_text => {
            return Ok(from_text(
                &by_cast(&source, &DataType::Utf8)?,
                kind,
                target,
                bounds.depth_max,
            ));
        }
        PropertyType::Integer | PropertyType::Number => from.is_numeric(),
        PropertyType::Decimal(_) => from.is_integer() || from.is_decimal(),
        PropertyType::Boolean => from == &DataType::Boolean,
        PropertyType::Date => matches!(from, DataType::Date32 | DataType::Date64),
        PropertyType::Datetime => {
            matches!(
                from,
                DataType::Timestamp(..) | DataType::Date32 | DataType::Date64
            )
        }
        PropertyType::Uuid => from == &DataType::FixedSizeBinary(16),
        PropertyType::String | PropertyType::Object => false,
    };
    if !is_castable {
        return Err(format!(
            "has the type {from}, which cannot be read as {kind}"
        ));
    }
    let array = by_cast(&source, target)?;
    let mut flaws = lost(&source, &array, kind)?;
    flaws.extend(out_of_range(&array, kind));
    flaws.sort_by_key(|flaw| flaw.row);
    flaws.dedup_by_key(|flaw| flaw.row);
    Ok(nulled(array, flaws))
}

pub(super) fn by_cast(source: &ArrayRef, target: &DataType) -> Result<ArrayRef, String> {
    if source.data_type() == target {
        return Ok(Arc::clone(source));
    }
    cast(source, target)
        .map_err(|_| format!("has the type {}, which does not fit", source.data_type()))
}

/// Makes the flawed rows null.
pub(super) fn nulled(array: ArrayRef, flaws: Vec<Flaw>) -> Converted {
    if flaws.is_empty() {
        return Converted { array, flaws };
    }
    let mut is_bad = vec![false; array.len()];
    flaws.iter().for_each(|flaw| is_bad[flaw.row] = true);
    let array = arrow_select::nullif::nullif(&array, &BooleanArray::from(is_bad))
        .expect("a mask of equal length");
    Converted { array, flaws }
}

/// The rows whose value a cast changed or lost. Moments may lose what is finer than a
/// microsecond; numbers may round, as every text of a number does.
fn lost(source: &ArrayRef, array: &ArrayRef, kind: &PropertyType) -> Result<Vec<Flaw>, String> {
    if source.data_type() == &DataType::Null {
        return Ok(Vec::new());
    }
    let same = matches!(kind, PropertyType::Integer | PropertyType::Decimal(_));
    let back = if same {
        Some(by_cast(array, source.data_type())?)
    } else {
        None
    };
    let back = back.filter(|back| back != source);
    if back.is_none() && array.null_count() == source.logical_null_count() {
        return Ok(Vec::new());
    }
    let changed = |row: &usize| {
        let is_changed = back
            .as_ref()
            .is_some_and(|back| back.slice(*row, 1) != source.slice(*row, 1));
        source.is_valid(*row) && (array.is_null(*row) || is_changed)
    };
    let message = match kind {
        PropertyType::Integer => "must be a 64-bit signed integer",
        PropertyType::Decimal(_) => "must fit the decimal's digits",
        _ => "does not fit the type",
    };
    let rows = (0..array.len()).filter(changed);
    Ok(rows
        .map(|row| Flaw::new(row, ParseProblem::range(message)))
        .collect())
}

fn out_of_range(array: &ArrayRef, kind: &PropertyType) -> Vec<Flaw> {
    let is_bad: Box<dyn Fn(usize) -> bool> = match kind {
        PropertyType::Number => {
            let values = array.as_primitive::<Float64Type>();
            Box::new(|row| !values.value(row).is_finite())
        }
        PropertyType::Date => {
            let values = array.as_primitive::<Date32Type>();
            Box::new(|row| !(DATE_MIN..=DATE_MAX).contains(&values.value(row)))
        }
        PropertyType::Datetime => {
            let values = array.as_primitive::<TimestampMicrosecondType>();
            let range = Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros();
            Box::new(move |row| !range.contains(&values.value(row)))
        }
        PropertyType::Decimal(size) => {
            let values = array.as_primitive::<Decimal128Type>();
            let limit = 10_u128.checked_pow(u32::from(size.precision));
            Box::new(move |row| limit.is_some_and(|most| values.value(row).unsigned_abs() >= most))
        }
        _ => return Vec::new(),
    };
    let message = match kind {
        PropertyType::Number => "must be a finite number",
        PropertyType::Decimal(_) => "must fit the decimal's digits",
        _ => "must be of the years 0001 to 9999",
    };
    let rows = (0..array.len()).filter(|row| array.is_valid(*row) && is_bad(*row));
    rows.map(|row| Flaw::new(row, ParseProblem::range(message)))
        .collect()
}

/// Reads texts as values; texts themselves are checked only.
fn from_text(
    source: &ArrayRef,
    kind: &PropertyType,
    target: &DataType,
    depth_max: usize,
) -> Converted {
    let texts = source.as_string::<i32>();
    if *kind == PropertyType::String {
        let has_nul = |row: &usize| texts.is_valid(*row) && texts.value(*row).contains('\0');
        let is_clean = memchr::memchr(0, texts.values()).is_none();
        let rows = (0..if is_clean { 0 } else { texts.len() }).filter(has_nul);
        let nul = |row| Flaw::new(row, ParseProblem::mismatch("text cannot hold U+0000"));
        return nulled(Arc::clone(source), rows.map(nul).collect());
    }
    let mut column = Column::new(kind, texts.len());
    let mut walker = Walker::default();
    let mut flaws = Vec::new();
    for (row, text) in texts.iter().enumerate() {
        let Some(text) = text else {
            column.push_null();
            continue;
        };
        let outcome = if *kind == PropertyType::Object {
            push_object(&mut column, text, &mut walker, depth_max)
        } else {
            parse::parse_scalar(kind, text).map(|value| column.push(&value))
        };
        if let Err(problem) = outcome {
            column.push_null();
            let value = Some(excerpt(text.as_bytes()));
            flaws.push(Flaw {
                value,
                ..Flaw::new(row, problem)
            });
        }
    }
    Converted {
        array: column.finish(target, true),
        flaws,
    }
}

fn push_object(
    column: &mut Column,
    text: &str,
    walker: &mut Walker,
    depth_max: usize,
) -> Result<(), ParseProblem> {
    let Values::Object(texts) = &mut column.values else {
        return Err(ParseProblem::mismatch("must not be an object"));
    };
    let mut cursor = Cursor::new(text.as_bytes(), 0);
    cursor.skip_space();
    let is_object = cursor.peek() == Ok(b'{');
    let outcome = walker.walk(&mut cursor, &mut texts.bytes, depth_max);
    cursor.skip_space();
    let problem = match outcome {
        Ok(None) if is_object && cursor.at == text.len() => {
            texts.end();
            column.count_value();
            return Ok(());
        }
        Ok(Some(flaw)) => ParseProblem {
            code: flaw.code,
            message: flaw.message,
        },
        Ok(None) => ParseProblem::mismatch("must be an object"),
        Err(fault) => ParseProblem::mismatch(format!("must be JSON: {}", fault.why())),
    };
    texts.undo();
    Err(problem)
}
