//! From decoded records to valid ones, column by column, with every error found.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, UInt64Array};

use crate::batch::check::{check_array, shown, value_at};
use crate::batch::{DecodedBatch, Indexes, Origin, ValidBatch};
use crate::error::{RecordError, RecordErrorCode};
use crate::schema::Property;
use crate::value::Value;

/// Checks every record against every rule of its schema.
///
/// Answers the records that hold, in their order, and *all* errors of the others, sorted by
/// record and, within one, by the schema's order of properties. What a request with errors
/// does is the use case's rule, not this function's.
pub fn validate(decoded: DecodedBatch) -> (ValidBatch, Vec<RecordError>) {
    let DecodedBatch {
        schema,
        properties,
        len,
        origin,
        mut errors,
    } = decoded;
    let known = known_errors(&errors);
    let places = Places {
        origin: &origin,
        known: &known,
    };
    for (property, array) in schema.schema().properties.iter().zip(&properties) {
        if property.required && array.null_count() > 0 {
            check_required(property, array, &places, &mut errors);
        }
        check_array(property, array, &mut |row, (code, message)| {
            let value = value_at(&property.property_type, array, row);
            let value = value.map(|value| excerpt(property, &value));
            errors.push(places.error(row, property, code, message).with_value(value));
        });
    }
    if errors.is_empty() {
        let indexes = Indexes::From(origin);
        return (
            ValidBatch {
                schema,
                properties,
                len,
                indexes,
            },
            errors,
        );
    }
    errors.sort_by_key(|error| error.index);
    let (properties, kept, indexes) = drop_failed(&properties, len, &origin, &errors);
    (
        ValidBatch {
            schema: Arc::clone(&schema),
            properties,
            len: kept,
            indexes,
        },
        errors,
    )
}

/// The records and properties of which a decoder already said what is wrong: what it left
/// null there must not be reported as missing too.
fn known_errors(errors: &[RecordError]) -> HashSet<(u64, String)> {
    errors
        .iter()
        .map(|error| (error.index, error.pointer.clone()))
        .collect()
}

struct Places<'a> {
    origin: &'a Origin,
    known: &'a HashSet<(u64, String)>,
}

impl Places<'_> {
    fn error(
        &self,
        row: usize,
        property: &Property,
        code: RecordErrorCode,
        message: String,
    ) -> RecordError {
        RecordError {
            index: self.origin.first + row as u64,
            line: self
                .origin
                .lines
                .as_ref()
                .and_then(|lines| lines.get(row).copied()),
            pointer: format!("/{}", property.name),
            code,
            message,
            value: None,
        }
    }

    fn is_known(&self, row: usize, property: &Property) -> bool {
        if self.known.is_empty() {
            return false;
        }
        let index = self.origin.first + row as u64;
        let pointer = format!("/{}", property.name);
        // An item's error, `/tags/3`, stands for its array; an empty pointer for all.
        self.known.contains(&(index, String::new()))
            || self.known.contains(&(index, pointer.clone()))
            || self.known.iter().any(|(at, place)| {
                *at == index
                    && place
                        .strip_prefix(&pointer)
                        .is_some_and(|rest| rest.starts_with('/'))
            })
    }
}

impl RecordError {
    fn with_value(mut self, value: Option<String>) -> Self {
        self.value = value;
        self
    }
}

fn check_required(
    property: &Property,
    array: &ArrayRef,
    places: &Places<'_>,
    errors: &mut Vec<RecordError>,
) {
    for row in (0..array.len()).filter(|row| array.is_null(*row)) {
        if !places.is_known(row, property) {
            let message = format!("{} is required", property.name);
            errors.push(places.error(row, property, RecordErrorCode::Required, message));
        }
    }
}

/// Shows a value as JSON text, in at most about 200 characters.
fn excerpt(property: &Property, value: &Value) -> String {
    const SHOWN_MAX: usize = 200;
    let mut text = match value {
        Value::String(text) => text.clone(),
        other => shown(property, other),
    };
    if let Some((cut, _)) = text.char_indices().nth(SHOWN_MAX) {
        text.truncate(cut);
        text.push('…');
    }
    match value {
        Value::String(_)
        | Value::Decimal(_)
        | Value::Date(_)
        | Value::Datetime(_)
        | Value::Uuid(_) => quoted(&text),
        _ => text,
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn drop_failed(
    properties: &[ArrayRef],
    len: usize,
    origin: &Origin,
    errors: &[RecordError],
) -> (Vec<ArrayRef>, usize, Indexes) {
    let failed: HashSet<u64> = errors.iter().map(|error| error.index).collect();
    let keep: Vec<bool> = (0..len)
        .map(|row| !failed.contains(&(origin.first + row as u64)))
        .collect();
    let kept = keep.iter().filter(|keep| **keep).count();
    let rows = || (0..len).filter(|row| keep[*row]);
    let lines = origin.lines.as_ref();
    let lines = lines.map(|lines| rows().filter_map(|row| lines.get(row).copied()).collect());
    let indexes: UInt64Array = rows().map(|row| Some(origin.first + row as u64)).collect();
    let mask = BooleanArray::from(keep.clone());
    let properties = properties
        .iter()
        .map(|array| arrow_select::filter::filter(array, &mask).expect("a mask of equal length"))
        .collect();
    (properties, kept, Indexes::Each(indexes, lines))
}
