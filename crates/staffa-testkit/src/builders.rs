//! Batches for tests, made the only way there is: decoded, validated, stamped.

use std::sync::Arc;

use staffa_domain::batch::Origin;
use staffa_domain::{
    DecodedBatch, Given, RecordId, SchemaSnapshot, StampedBatch, Timestamp, ValidBatch, Value,
    validate, validate_parts,
};

use crate::arrays::array_of;
use crate::fakes::nth_id;

/// When the records of tests are created, unless a test says otherwise: 2026-01-01.
pub const CREATED: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// What may stand for a value in [`row!`].
pub trait IntoValue {
    /// The value.
    fn into_value(self) -> Value;
}

macro_rules! into_value {
    ($($from:ty => $make:expr),+ $(,)?) => {$(
        impl IntoValue for $from {
            fn into_value(self) -> Value {
                $make(self)
            }
        }
    )+};
}

into_value! {
    Value => |value| value,
    i64 => Value::Integer,
    i32 => |value| Value::Integer(i64::from(value)),
    f64 => Value::Number,
    bool => Value::Boolean,
    &str => |text: &str| Value::String(text.to_owned()),
    String => Value::String,
    Timestamp => Value::Datetime,
    RecordId => Value::Uuid,
    Vec<Value> => Value::Array,
}

impl<T: IntoValue> IntoValue for Option<T> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, T::into_value)
    }
}

/// Some properties of one record by name; those not named are null.
pub type Row = Vec<(&'static str, Value)>;

/// Writes a [`Row`](crate::builders::Row): `row! { reference: "A-1", quantity: 3 }`.
#[macro_export]
macro_rules! row {
    ($($name:ident : $value:expr),* $(,)?) => {
        vec![$((stringify!($name), $crate::builders::IntoValue::into_value($value))),*]
    };
}

/// The values of a row in the order of the schema.
///
/// # Panics
/// When the row names a property that the schema does not have.
pub fn values(schema: &SchemaSnapshot, row: Row) -> Vec<Value> {
    let mut values = vec![Value::Null; schema.schema().properties.len()];
    for (name, value) in row {
        let position = schema.position(name);
        values[position.unwrap_or_else(|| panic!("there is no property {name}"))] = value;
    }
    values
}

/// Decodes rows of whole values, the first being the request's record `first`.
pub fn decoded(schema: &Arc<SchemaSnapshot>, rows: &[Vec<Value>], first: u64) -> DecodedBatch {
    let fields = schema.property_layout().fields().iter().enumerate();
    let properties = fields
        .map(|(at, field)| array_of(field.data_type(), rows.iter().map(|row| &row[at])))
        .collect();
    DecodedBatch {
        schema: Arc::clone(schema),
        properties,
        len: rows.len(),
        given: None,
        origin: Origin { first, lines: None },
        errors: Vec::new(),
    }
}

/// Decodes and validates rows of whole values.
///
/// # Panics
/// When a row breaks a rule of the schema.
pub fn valid(schema: &Arc<SchemaSnapshot>, rows: &[Vec<Value>], first: u64) -> ValidBatch {
    let (valid, errors) = validate(decoded(schema, rows, first));
    assert!(errors.is_empty(), "{errors:?}");
    valid
}

/// New records with the ids `nth_id(first)` on, created at [`CREATED`], which stand at
/// `first` in their request.
///
/// # Panics
/// When a row breaks a rule of the schema.
pub fn numbered(schema: &Arc<SchemaSnapshot>, first: u64, rows: &[Vec<Value>]) -> StampedBatch {
    stamped(schema, first, rows, CREATED)
}

/// New records as [`numbered`] makes them, created at `at`.
///
/// # Panics
/// When a row breaks a rule of the schema.
pub fn stamped(
    schema: &Arc<SchemaSnapshot>,
    first: u64,
    rows: &[Vec<Value>],
    at: Timestamp,
) -> StampedBatch {
    let ids: Vec<RecordId> = (first..first + rows.len() as u64).map(nth_id).collect();
    valid(schema, rows, first).stamp(&ids, at)
}

/// New records from rows by name, as [`numbered`] makes them.
///
/// # Panics
/// When a row breaks a rule of the schema.
pub fn batch(schema: &Arc<SchemaSnapshot>, first: u64, rows: Vec<Row>) -> StampedBatch {
    let rows: Vec<Vec<Value>> = rows.into_iter().map(|row| values(schema, row)).collect();
    numbered(schema, first, &rows)
}

/// Parts of records, each of which gives the properties that its row names, for sessions that
/// change others by their `key`; they stand at `first` in their request, on the lines after
/// that, and come at `at`.
///
/// # Panics
/// When a row breaks a rule of the schema or lacks a part of the key.
pub fn parts(
    schema: &Arc<SchemaSnapshot>,
    key: &[usize],
    (first, at): (u64, Timestamp),
    rows: Vec<Row>,
) -> StampedBatch {
    let named = |row: &Row, name: &str| row.iter().any(|(named, _)| *named == name);
    let properties = schema.schema().properties.iter();
    let given = properties.map(|property| {
        let marks = rows.iter().map(|row| named(row, property.name.as_str()));
        Given::from_marks(marks.collect::<Vec<_>>().into())
    });
    let given = given.collect();
    let rows: Vec<Vec<Value>> = rows.into_iter().map(|row| values(schema, row)).collect();
    let decoded = DecodedBatch {
        given: Some(given),
        origin: Origin {
            first,
            lines: Some((first + 1..).take(rows.len()).collect()),
        },
        ..decoded(schema, &rows, first)
    };
    let (valid, errors) = validate_parts(decoded, key);
    assert!(errors.is_empty(), "{errors:?}");
    let ids: Vec<RecordId> = (first..).take(rows.len()).map(nth_id).collect();
    valid.stamp(&ids, at)
}

/// The next version of the record `id` that was created at [`CREATED`].
///
/// # Panics
/// When the row breaks a rule of the schema.
pub fn next(schema: &Arc<SchemaSnapshot>, id: RecordId, version: i64, row: Row) -> StampedBatch {
    let updated_at = Timestamp::from_micros(CREATED.as_micros() + version);
    let row = values(schema, row);
    valid(schema, &[row], 0).stamp_next(id, CREATED, updated_at, version)
}
