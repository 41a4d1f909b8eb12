//! One record as a plain struct, for tests and for the memory engine.

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use staffa_domain::record::system;
use staffa_domain::{Field, RecordId, SchemaSnapshot, Timestamp, Value};

use crate::arrays::{array_of, value_at};

/// A record: its system fields, and values by the positions of its schema or of a selection.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its identity.
    pub id: RecordId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its version.
    pub version: i64,
    /// The values of its properties.
    pub values: Vec<Value>,
}

impl Record {
    /// The value of a field, system fields included. The values must be whole.
    pub fn field(&self, field: Field) -> Value {
        match field {
            Field::Id => Value::Uuid(self.id),
            Field::CreatedAt => Value::Datetime(self.created_at),
            Field::UpdatedAt => Value::Datetime(self.updated_at),
            Field::Version => Value::Integer(self.version),
            Field::Property(position) => self.values[position].clone(),
        }
    }

    /// Whether two records are the same to the last bit: unlike `==`, a negative zero is not
    /// a positive one.
    pub fn is_identical(&self, other: &Self) -> bool {
        self == other
            && self
                .values
                .iter()
                .zip(&other.values)
                .all(|(left, right)| same_bits(left, right))
    }
}

fn same_bits(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.to_bits() == right.to_bits(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same_bits(l, r))
        }
        _ => left == right,
    }
}

/// Reads whole records out of a batch that has the record layout.
pub fn records_of(schema: &SchemaSnapshot, batch: &RecordBatch) -> Vec<Record> {
    let all: Vec<usize> = (0..schema.schema().properties.len()).collect();
    selected_of(schema, &all, batch)
}

/// Reads records with the selected properties out of a batch.
///
/// # Panics
/// When the batch is not laid out so: an engine broke the layout.
pub fn selected_of(
    schema: &SchemaSnapshot,
    selected: &[usize],
    batch: &RecordBatch,
) -> Vec<Record> {
    (0..batch.num_rows())
        .map(|row| {
            let field = |field: Field| {
                value_at(
                    field.property_type(schema),
                    batch.column(field.index()),
                    row,
                )
            };
            let (Value::Uuid(id), Value::Datetime(created_at)) =
                (field(Field::Id), field(Field::CreatedAt))
            else {
                panic!("id and created_at are never null");
            };
            let (Value::Datetime(updated_at), Value::Integer(version)) =
                (field(Field::UpdatedAt), field(Field::Version))
            else {
                panic!("updated_at and version are never null");
            };
            let values = selected.iter().enumerate().map(|(at, position)| {
                let property = &schema.schema().properties[*position];
                value_at(
                    &property.property_type,
                    batch.column(system::COUNT + at),
                    row,
                )
            });
            let values = values.collect();
            Record {
                id,
                created_at,
                updated_at,
                version,
                values,
            }
        })
        .collect()
}

/// The Arrow schema of records with the selected properties.
///
/// # Panics
/// When a position is beyond the schema.
pub fn selected_layout(schema: &SchemaSnapshot, selected: &[usize]) -> SchemaRef {
    let columns: Vec<usize> = (0..system::COUNT)
        .chain(selected.iter().map(|position| system::COUNT + position))
        .collect();
    let layout = schema.record_layout().project(&columns);
    std::sync::Arc::new(layout.expect("positions of the schema"))
}

/// Lays whole records out as a batch with the selected properties.
///
/// # Panics
/// When a value is not of its property's type.
pub fn batch_of<'a>(
    schema: &SchemaSnapshot,
    selected: &[usize],
    records: impl IntoIterator<Item = &'a Record>,
) -> RecordBatch {
    let records: Vec<&Record> = records.into_iter().collect();
    let layout = selected_layout(schema, selected);
    let fields = [
        Field::Id,
        Field::CreatedAt,
        Field::UpdatedAt,
        Field::Version,
    ]
    .into_iter()
    .chain(selected.iter().map(|position| Field::Property(*position)));
    let columns: Vec<ArrayRef> = fields
        .zip(layout.fields())
        .map(|(field, arrow)| {
            let values: Vec<Value> = records.iter().map(|record| record.field(field)).collect();
            array_of(arrow.data_type(), &values)
        })
        .collect();
    RecordBatch::try_new(layout, columns).expect("arrays of one length and the layout's types")
}
