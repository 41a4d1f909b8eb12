//! From decoded records to valid ones, column by column, with every error found.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow_array::{Array, ArrayRef, BooleanArray, UInt64Array};
use arrow_select::filter::filter;

use crate::batch::check::{check_array, shown, value_at};
use crate::batch::{DecodedBatch, Given, Indexes, Origin, ValidBatch};
use crate::error::{RecordError, RecordErrorCode};
use crate::schema::Property;
use crate::value::Value;

/// Checks every record against every rule of its schema.
///
/// Answers the records that hold, in their order, and *all* errors of the others, sorted by
/// record and, within one, by the schema's order of properties. What a request with errors
/// does is the use case's rule, not this function's.
pub fn validate(decoded: DecodedBatch) -> (ValidBatch, Vec<RecordError>) {
    check_batch(decoded, &[])
}

/// Checks parts of records, by whose key others are changed: each must give every property
/// of the key, the positions of which are `key`, and may leave out any other. Rules hold for
/// what is given alone. Answers as [`validate`] does.
pub fn validate_parts(decoded: DecodedBatch, key: &[usize]) -> (ValidBatch, Vec<RecordError>) {
    let decoded = DecodedBatch {
        given: Some(decoded.given.unwrap_or_else(|| all_of(&decoded.properties))),
        ..decoded
    };
    check_batch(decoded, key)
}

fn all_of(properties: &[ArrayRef]) -> Vec<Given> {
    vec![Given::All; properties.len()]
}

fn check_batch(decoded: DecodedBatch, key: &[usize]) -> (ValidBatch, Vec<RecordError>) {
    let DecodedBatch {
        schema,
        properties,
        len,
        given,
        origin,
        mut errors,
    } = decoded;
    let known = known_errors(&errors);
    let places = Places {
        origin: &origin,
        known: &known,
    };
    let arrays = properties.iter().enumerate();
    for (property, (position, array)) in schema.schema().properties.iter().zip(arrays) {
        let is_key = key.contains(&position);
        if (property.required || is_key) && array.null_count() > 0 {
            let given = given.as_ref().map(|given| &given[position]);
            let needed = |row| is_key || given.is_none_or(|given| given.by(row));
            check_required(property, (array, &needed), &places, &mut errors);
        }
        check_array(property, array, &mut |row, (code, message)| {
            let value = value_at(&property.property_type, array, row);
            let value = value.map(|value| excerpt(property, &value));
            errors.push(places.error(row, property, code, message).with_value(value));
        });
    }
    if errors.is_empty() {
        let indexes = Indexes::From(origin);
        let valid = ValidBatch {
            schema,
            properties,
            len,
            given,
            indexes,
        };
        return (valid, errors);
    }
    errors.sort_by_key(|error| error.index);
    let kept = Kept::without_failed(len, &origin, &errors);
    let valid = ValidBatch {
        properties: kept.of_each(&properties),
        len: kept.mask.true_count(),
        given: given.map(|given| given.iter().map(|given| given.keep(&kept.mask)).collect()),
        indexes: kept.indexes(&origin),
        schema,
    };
    (valid, errors)
}

/// The records and properties of which a decoder already said what is wrong: what it left
/// null there must not be reported as missing too.
fn known_errors(errors: &[RecordError]) -> KnownErrors {
    let mut known = KnownErrors::new();
    for error in errors {
        let pointers = known.entry(error.index).or_default();
        pointers.insert(error.pointer.clone());
    }
    known
}

/// The pointers that are known of each record, in order: those below one follow it.
type KnownErrors = HashMap<u64, BTreeSet<String>>;

struct Places<'a> {
    origin: &'a Origin,
    known: &'a KnownErrors,
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
        let index = self.origin.first + row as u64;
        let Some(pointers) = self.known.get(&index) else {
            return false;
        };
        let pointer = format!("/{}", property.name);
        // An item's error, `/tags/3`, stands for its array; an empty pointer for all.
        let items = format!("{pointer}/");
        pointers.contains("")
            || pointers.contains(&pointer)
            || pointers
                .range(items.clone()..)
                .next()
                .is_some_and(|first| first.starts_with(&items))
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
    (array, needed): (&ArrayRef, &dyn Fn(usize) -> bool),
    places: &Places<'_>,
    errors: &mut Vec<RecordError>,
) {
    for row in (0..array.len()).filter(|row| array.is_null(*row) && needed(*row)) {
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

/// Which records of a batch hold.
struct Kept {
    mask: BooleanArray,
}

impl Kept {
    fn without_failed(len: usize, origin: &Origin, errors: &[RecordError]) -> Self {
        let failed: HashSet<u64> = errors.iter().map(|error| error.index).collect();
        let keep = (0..len).map(|row| !failed.contains(&(origin.first + row as u64)));
        Self {
            mask: keep.collect::<Vec<_>>().into(),
        }
    }

    fn of_each(&self, properties: &[ArrayRef]) -> Vec<ArrayRef> {
        let kept = |array: &ArrayRef| filter(array, &self.mask).expect("a mask of equal length");
        properties.iter().map(kept).collect()
    }

    fn indexes(&self, origin: &Origin) -> Indexes {
        let rows = || self.mask.values().set_indices();
        let lines = origin.lines.as_ref();
        let lines = lines.map(|lines| rows().filter_map(|row| lines.get(row).copied()).collect());
        let indexes: UInt64Array = rows().map(|row| Some(origin.first + row as u64)).collect();
        Indexes::Each(indexes, lines)
    }
}
