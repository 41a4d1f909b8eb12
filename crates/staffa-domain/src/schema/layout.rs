//! How a schema's records lie in Arrow record batches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as ArrowSchema, TimeUnit};

use crate::record::system;
use crate::schema::{PropertyType, Schema};

/// Metadata key by which Arrow names an extension type.
const EXTENSION: &str = "ARROW:extension:name";

/// The system fields, then one field a property.
pub(super) fn record_layout(schema: &Schema) -> ArrowSchema {
    let mut fields = vec![
        uuid_field(system::NAMES[system::ID], false),
        Field::new(system::NAMES[system::CREATED_AT], datetime(), false),
        Field::new(system::NAMES[system::UPDATED_AT], datetime(), false),
        Field::new(system::NAMES[system::VERSION], DataType::Int64, false),
    ];
    fields.extend(property_fields(schema));
    ArrowSchema::new(fields)
}

/// One field a property, nullable whatever the schema says: whether a null may stand is a
/// rule of the record, not of its memory.
pub(super) fn property_layout(schema: &Schema) -> ArrowSchema {
    ArrowSchema::new(property_fields(schema).collect::<Vec<_>>())
}

fn property_fields(schema: &Schema) -> impl Iterator<Item = Field> {
    schema.properties.iter().map(|property| {
        let name = property.name.as_str();
        match &property.property_type {
            PropertyType::Uuid => uuid_field(name, true),
            PropertyType::Object => extension(Field::new(name, DataType::Utf8, true), "arrow.json"),
            other => Field::new(name, data_type(other), true),
        }
    })
}

fn uuid_field(name: &str, nullable: bool) -> Field {
    extension(
        Field::new(name, DataType::FixedSizeBinary(16), nullable),
        "arrow.uuid",
    )
}

fn extension(field: Field, name: &str) -> Field {
    field.with_metadata(HashMap::from([(EXTENSION.to_owned(), name.to_owned())]))
}

const fn datetime() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// The Arrow type of an abstract type. Timestamps carry no zone: they are UTC by contract.
pub fn data_type(property_type: &PropertyType) -> DataType {
    match property_type {
        PropertyType::String | PropertyType::Object => DataType::Utf8,
        PropertyType::Integer => DataType::Int64,
        PropertyType::Number => DataType::Float64,
        PropertyType::Decimal(size) => DataType::Decimal128(size.precision, size.scale),
        PropertyType::Boolean => DataType::Boolean,
        PropertyType::Date => DataType::Date32,
        PropertyType::Datetime => datetime(),
        PropertyType::Uuid => DataType::FixedSizeBinary(16),
        PropertyType::Array(items) => {
            let item = Field::new(Field::LIST_FIELD_DEFAULT_NAME, data_type(items), true);
            let item = match **items {
                PropertyType::Uuid => extension(item, "arrow.uuid"),
                _ => item,
            };
            DataType::List(Arc::new(item))
        }
    }
}
