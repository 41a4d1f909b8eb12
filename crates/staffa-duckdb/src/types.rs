//! The abstract types as this engine's column types, parameters and Arrow arrays.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, ListArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use duckdb::types::{TimeUnit, Value as Param};
use staffa_domain::value::format_decimal;
use staffa_domain::{PropertyType, RecordId, Timestamp, Value};

/// The column type of an abstract type.
pub(crate) fn sql_type(property_type: &PropertyType) -> Cow<'static, str> {
    Cow::Borrowed(match property_type {
        PropertyType::String => "VARCHAR",
        PropertyType::Integer => "BIGINT",
        PropertyType::Number => "DOUBLE",
        PropertyType::Boolean => "BOOLEAN",
        PropertyType::Date => "DATE",
        PropertyType::Datetime => "TIMESTAMP",
        PropertyType::Uuid => "UUID",
        PropertyType::Object => "JSON",
        PropertyType::Decimal(size) => {
            return Cow::Owned(format!("DECIMAL({},{})", size.precision, size.scale));
        }
        PropertyType::Array(items) => return Cow::Owned(format!("{}[]", sql_type(items))),
    })
}

/// The placeholder of a parameter of an abstract type. A decimal is as wide as can be, since
/// an operand may have more digits than the property.
pub(crate) fn placeholder(property_type: &PropertyType) -> Cow<'static, str> {
    match property_type {
        PropertyType::Decimal(size) => Cow::Owned(format!("?::DECIMAL(38,{})", size.scale)),
        PropertyType::Uuid => Cow::Borrowed("?::UUID"),
        _ => Cow::Borrowed("?"),
    }
}

/// A value as a parameter for [`placeholder`].
pub(crate) fn param(value: &Value, property_type: &PropertyType) -> Param {
    match value {
        Value::Null => Param::Null,
        Value::String(text) | Value::Object(text) => Param::Text(text.clone()),
        Value::Integer(value) => Param::BigInt(*value),
        Value::Number(value) => Param::Double(*value),
        Value::Boolean(value) => Param::Boolean(*value),
        Value::Date(days) => Param::Date32(*days),
        Value::Datetime(at) => Param::Timestamp(TimeUnit::Microsecond, at.as_micros()),
        Value::Uuid(id) => Param::Text(id.to_string()),
        Value::Decimal(unscaled) => {
            let scale = match property_type {
                PropertyType::Decimal(size) => size.scale,
                _ => 0,
            };
            Param::Text(format_decimal(*unscaled, scale))
        }
        Value::Array(values) => Param::List(
            values
                .iter()
                .map(|value| param(value, property_type))
                .collect(),
        ),
    }
}

/// One value of an array that has the layout's type; null for a type without an order.
pub(crate) fn value_at(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => Value::String(array.as_string::<i32>().value(row).to_owned()),
        DataType::Int64 => Value::Integer(array.as_primitive::<Int64Type>().value(row)),
        // Zero has two signs but one value.
        DataType::Float64 => Value::Number(array.as_primitive::<Float64Type>().value(row) + 0.0),
        DataType::Decimal128(..) => {
            Value::Decimal(array.as_primitive::<Decimal128Type>().value(row))
        }
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::Date32 => Value::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(..) => Value::Datetime(Timestamp::from_micros(
            array.as_primitive::<TimestampMicrosecondType>().value(row),
        )),
        DataType::FixedSizeBinary(16) => {
            let bytes = array.as_fixed_size_binary().value(row);
            bytes.try_into().map_or(Value::Null, |bytes| {
                Value::Uuid(RecordId::from_bytes(bytes))
            })
        }
        _ => Value::Null,
    }
}

/// Gives a result the exact layout that was promised: names, metadata, and the types where
/// the engine's export differs (booleans come as bytes, list items under another name).
pub(crate) fn conform(batch: &RecordBatch, layout: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .zip(layout.fields())
        .map(|(column, field)| conform_array(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(layout), columns, &options)
}

fn conform_array(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    if let (DataType::List(_), DataType::List(item)) = (array.data_type(), data_type) {
        let list = array.as_list::<i32>();
        let values = conform_array(list.values(), item.data_type())?;
        let list = ListArray::try_new(
            Arc::clone(item),
            list.offsets().clone(),
            values,
            list.nulls().cloned(),
        )?;
        return Ok(Arc::new(list));
    }
    arrow_cast::cast(array, data_type)
}
