//! What a record takes once it is read, though its text does not show it: a place for each
//! property, and the defaults of those it leaves out.

use staffa_domain::schema::{Property, PropertyType, SchemaSnapshot};
use staffa_domain::value::Value;

/// How much the records of one piece of a body may come to before they are taken.
const READ_BYTES: usize = 8 << 20;
/// The longest piece.
const PIECE_MAX: usize = 64 << 10;

/// How many bytes of a body are to be given to a decoder at a time, and what it made of them
/// taken: a record may be as short as one byte.
pub fn piece_bytes(schema: &SchemaSnapshot, parts: bool) -> usize {
    let properties = schema.schema().properties.iter();
    let defaults = properties.map(|property| if parts { 0 } else { default_bytes(property) });
    let record = fixed_bytes(schema) + defaults.sum::<usize>();
    (READ_BYTES / record.max(1)).clamp(1, PIECE_MAX)
}

/// What every record takes, whatever is in it.
pub(super) fn fixed_bytes(schema: &SchemaSnapshot) -> usize {
    let properties = schema.schema().properties.iter();
    properties
        .map(|property| width(&property.property_type))
        .sum()
}

/// What a property's default takes beside that.
pub(super) fn default_bytes(property: &Property) -> usize {
    match (&property.default, &property.property_type) {
        (Some(Value::String(text) | Value::Object(text)), _) => text.len(),
        (Some(Value::Array(items)), PropertyType::Array(kind)) => {
            let texts = items.iter().map(|item| match item {
                Value::String(text) => text.len(),
                _ => 0,
            });
            texts.sum::<usize>() + items.len() * width(kind)
        }
        _ => 0,
    }
}

const fn width(kind: &PropertyType) -> usize {
    match kind {
        PropertyType::Boolean => 1,
        PropertyType::String
        | PropertyType::Object
        | PropertyType::Array(_)
        | PropertyType::Date => 4,
        PropertyType::Integer | PropertyType::Number | PropertyType::Datetime => 8,
        PropertyType::Decimal(_) | PropertyType::Uuid => 16,
    }
}
