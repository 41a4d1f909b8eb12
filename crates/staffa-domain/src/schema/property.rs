//! One property of a schema: its abstract type and its flags.

use std::fmt;

use crate::schema::{Constraints, PropertyName};
use crate::value::Value;

/// How many digits a decimal has: `precision` in all (1 to 38), `scale` after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecimalSize {
    /// Digits in all.
    pub precision: u8,
    /// Digits after the point, at most `precision`.
    pub scale: i8,
}

/// An abstract type. Each engine maps it to its own in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropertyType {
    /// Text, any Unicode but U+0000, compared by code point.
    String,
    /// A 64-bit signed integer.
    Integer,
    /// A finite IEEE 754 double.
    Number,
    /// An exact decimal; a string on the wire.
    Decimal(DecimalSize),
    /// True or false.
    Boolean,
    /// A calendar date, 0001-01-01 to 9999-12-31.
    Date,
    /// A moment, UTC, to the microsecond.
    Datetime,
    /// A UUID.
    Uuid,
    /// Any JSON object.
    Object,
    /// A list of one scalar type.
    Array(Box<PropertyType>),
}

impl PropertyType {
    /// The words a document may use, in the order in which documentation lists them.
    pub const WORDS: [&str; 10] = [
        "string", "integer", "number", "decimal", "boolean", "date", "datetime", "uuid", "object",
        "array",
    ];

    /// The word of this type in a document.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Decimal(_) => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::Uuid => "uuid",
            Self::Object => "object",
            Self::Array(_) => "array",
        }
    }

    /// Whether values have an order, so that they can be sorted, bounded and indexed.
    pub const fn is_ordered(&self) -> bool {
        !matches!(self, Self::Object | Self::Array(_))
    }

    /// Whether a `value` is of this type. Null is of every type.
    pub fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Array(items), Value::Array(values)) => values
                .iter()
                .all(|value| !value.is_null() && items.holds(value)),
            (_, Value::Null) => true,
            _ => self.word() == value.type_word(),
        }
    }
}

impl fmt::Display for PropertyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(size) => write!(f, "decimal({},{})", size.precision, size.scale),
            Self::Array(items) => write!(f, "array of {items}"),
            other => f.write_str(other.word()),
        }
    }
}

/// One declared property.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Its name, unique in the schema.
    pub name: PropertyName,
    /// Its abstract type.
    pub property_type: PropertyType,
    /// Null and absence are refused.
    pub required: bool,
    /// The engine keeps an index on it.
    pub indexed: bool,
    /// No two records share a value; nulls do not count.
    pub unique: bool,
    /// Taken when the property is absent from a new record.
    pub default: Option<Value>,
    /// Free text for people.
    pub description: Option<String>,
    /// What its values must satisfy.
    pub constraints: Constraints,
    /// The name it had in the version before, when this one renames it.
    pub renamed_from: Option<PropertyName>,
}

impl Property {
    /// An optional property without flags, default or constraints.
    pub fn new(name: PropertyName, property_type: PropertyType) -> Self {
        Self {
            name,
            property_type,
            required: false,
            indexed: false,
            unique: false,
            default: None,
            description: None,
            constraints: Constraints::default(),
            renamed_from: None,
        }
    }
}
