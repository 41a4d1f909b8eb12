//! How the abstract types lie in PostgreSQL: the one place that says so.

use arrow_schema::DataType;
use tokio_postgres::types::Type;

use staffa_domain::PropertyType;

/// The type of a property as DDL spells it.
///
/// An object is `json`, not `jsonb`: what was written is read back to the byte, as on every
/// other engine, and `jsonb` would reorder members and respell numbers.
pub(crate) fn column_type(kind: &PropertyType) -> String {
    match kind {
        PropertyType::String => "text COLLATE \"C\"".to_owned(),
        PropertyType::Array(items) => match &**items {
            PropertyType::String => "text[] COLLATE \"C\"".to_owned(),
            other => format!("{}[]", cast_type(other)),
        },
        other => cast_type(other),
    }
}

/// The type of a property as a cast spells it: without a collation.
pub(crate) fn cast_type(kind: &PropertyType) -> String {
    match kind {
        PropertyType::String => "text".to_owned(),
        PropertyType::Integer => "bigint".to_owned(),
        PropertyType::Number => "double precision".to_owned(),
        PropertyType::Decimal(size) => format!("numeric({},{})", size.precision, size.scale),
        PropertyType::Boolean => "boolean".to_owned(),
        PropertyType::Date => "date".to_owned(),
        PropertyType::Datetime => "timestamptz".to_owned(),
        PropertyType::Uuid => "uuid".to_owned(),
        PropertyType::Object => "json".to_owned(),
        PropertyType::Array(items) => format!("{}[]", cast_type(items)),
    }
}

/// The type of one value as a parameter. A list has no such type: it travels as text.
pub(crate) const fn value_type(kind: &PropertyType) -> Type {
    match kind {
        PropertyType::String | PropertyType::Array(_) => Type::TEXT,
        PropertyType::Integer => Type::INT8,
        PropertyType::Number => Type::FLOAT8,
        PropertyType::Decimal(_) => Type::NUMERIC,
        PropertyType::Boolean => Type::BOOL,
        PropertyType::Date => Type::DATE,
        PropertyType::Datetime => Type::TIMESTAMPTZ,
        PropertyType::Uuid => Type::UUID,
        PropertyType::Object => Type::JSON,
    }
}

/// The array type that holds values of one type.
pub(crate) fn array_of(item: &Type) -> Type {
    match *item {
        Type::INT8 => Type::INT8_ARRAY,
        Type::FLOAT8 => Type::FLOAT8_ARRAY,
        Type::NUMERIC => Type::NUMERIC_ARRAY,
        Type::BOOL => Type::BOOL_ARRAY,
        Type::DATE => Type::DATE_ARRAY,
        Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
        Type::UUID => Type::UUID_ARRAY,
        Type::JSON => Type::JSON_ARRAY,
        _ => Type::TEXT_ARRAY,
    }
}

/// The type of the items of an Arrow list, as COPY wants it named within an array.
pub(crate) const fn item_type(data_type: &DataType) -> Option<Type> {
    Some(match data_type {
        DataType::Utf8 => Type::TEXT,
        DataType::Int64 => Type::INT8,
        DataType::Float64 => Type::FLOAT8,
        DataType::Decimal128(..) => Type::NUMERIC,
        DataType::Boolean => Type::BOOL,
        DataType::Date32 => Type::DATE,
        DataType::Timestamp(..) => Type::TIMESTAMPTZ,
        DataType::FixedSizeBinary(16) => Type::UUID,
        _ => return None,
    })
}
