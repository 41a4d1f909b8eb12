//! Values to Arrow arrays and back, one at a time: slow, and easy to believe.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder,
    Float64Builder, Int64Builder, ListBuilder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, FieldRef};

use staffa_domain::{PropertyType, RecordId, Timestamp, Value};

/// Lays values out as an array of an Arrow type that the record layout uses.
///
/// # Panics
/// When a value is not of that type, which is a bug of the caller.
pub fn array_of<'a>(data_type: &DataType, values: impl IntoIterator<Item = &'a Value>) -> ArrayRef {
    let values: Vec<&Value> = values.into_iter().collect();
    match data_type {
        DataType::List(item) => typed(item.data_type(), Some(item), &values),
        scalar => typed(scalar, None, &values),
    }
}

fn typed(data_type: &DataType, list: Option<&FieldRef>, values: &[&Value]) -> ArrayRef {
    match data_type {
        DataType::Utf8 => fill(StringBuilder::new(), list, values, |b, v| match v {
            Value::String(v) | Value::Object(v) => b.append_value(v),
            other => other_or_null(other, || b.append_null()),
        }),
        DataType::Int64 => fill(Int64Builder::new(), list, values, |b, v| match v {
            Value::Integer(v) => b.append_value(*v),
            other => other_or_null(other, || b.append_null()),
        }),
        DataType::Float64 => fill(Float64Builder::new(), list, values, |b, v| match v {
            Value::Number(v) => b.append_value(*v),
            other => other_or_null(other, || b.append_null()),
        }),
        DataType::Decimal128(precision, scale) => {
            let builder = Decimal128Builder::new()
                .with_precision_and_scale(*precision, *scale)
                .expect("a checked schema has valid decimals");
            fill(builder, list, values, |b, v| match v {
                Value::Decimal(v) => b.append_value(*v),
                other => other_or_null(other, || b.append_null()),
            })
        }
        DataType::Boolean => fill(BooleanBuilder::new(), list, values, |b, v| match v {
            Value::Boolean(v) => b.append_value(*v),
            other => other_or_null(other, || b.append_null()),
        }),
        DataType::Date32 => fill(Date32Builder::new(), list, values, |b, v| match v {
            Value::Date(v) => b.append_value(*v),
            other => other_or_null(other, || b.append_null()),
        }),
        _ => typed_wide(data_type, list, values),
    }
}

fn typed_wide(data_type: &DataType, list: Option<&FieldRef>, values: &[&Value]) -> ArrayRef {
    match data_type {
        DataType::Timestamp(_, _) => {
            let builder = TimestampMicrosecondBuilder::new();
            fill(builder, list, values, |b, v| match v {
                Value::Datetime(v) => b.append_value(v.as_micros()),
                other => other_or_null(other, || b.append_null()),
            })
        }
        DataType::FixedSizeBinary(16) => {
            let builder = FixedSizeBinaryBuilder::new(16);
            fill(builder, list, values, |b, v| match v {
                Value::Uuid(v) => b.append_value(v.as_bytes()).expect("sixteen bytes"),
                other => other_or_null(other, || b.append_null()),
            })
        }
        other => panic!("no property has the arrow type {other}"),
    }
}

#[track_caller]
fn other_or_null(value: &Value, append_null: impl FnOnce()) {
    assert!(value.is_null(), "{value} is of another type than its array");
    append_null();
}

fn fill<B: ArrayBuilder>(
    mut builder: B,
    list: Option<&FieldRef>,
    values: &[&Value],
    put: impl Fn(&mut B, &Value),
) -> ArrayRef {
    let Some(item) = list else {
        for value in values {
            put(&mut builder, value);
        }
        return Arc::new(builder.finish());
    };
    let mut lists = ListBuilder::new(builder).with_field(Arc::clone(item));
    for value in values {
        if let Value::Array(items) = value {
            for item in items {
                put(lists.values(), item);
            }
        }
        lists.append(!value.is_null());
    }
    Arc::new(lists.finish())
}

/// Reads one value of a property's array; null where there is none.
///
/// # Panics
/// When the array is not laid out as the type demands: an engine broke the layout.
pub fn value_at(property_type: &PropertyType, array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match property_type {
        PropertyType::String => Value::String(array.as_string::<i32>().value(row).to_owned()),
        PropertyType::Object => Value::Object(array.as_string::<i32>().value(row).to_owned()),
        PropertyType::Integer => Value::Integer(array.as_primitive::<Int64Type>().value(row)),
        PropertyType::Number => Value::Number(array.as_primitive::<Float64Type>().value(row)),
        PropertyType::Decimal(_) => {
            Value::Decimal(array.as_primitive::<Decimal128Type>().value(row))
        }
        PropertyType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        PropertyType::Date => Value::Date(array.as_primitive::<Date32Type>().value(row)),
        PropertyType::Datetime => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            Value::Datetime(Timestamp::from_micros(micros))
        }
        PropertyType::Uuid => {
            let bytes = array.as_fixed_size_binary().value(row);
            Value::Uuid(RecordId::from_bytes(
                bytes.try_into().expect("sixteen bytes"),
            ))
        }
        PropertyType::Array(items) => {
            let list = array.as_list::<i32>().value(row);
            Value::Array(
                (0..list.len())
                    .map(|at| value_at(items, &list, at))
                    .collect(),
            )
        }
    }
}

/// Reads one value of an array by its Arrow type, as an aggregation's answer needs it.
///
/// # Panics
/// When no abstract type has that Arrow type.
pub fn value_by_layout(array: &ArrayRef, row: usize) -> Value {
    value_at(&type_of(array.data_type()), array, row)
}

fn type_of(data_type: &DataType) -> PropertyType {
    match data_type {
        DataType::Utf8 => PropertyType::String,
        DataType::Int64 => PropertyType::Integer,
        DataType::Float64 => PropertyType::Number,
        DataType::Decimal128(precision, scale) => {
            PropertyType::Decimal(staffa_domain::schema::DecimalSize {
                precision: *precision,
                scale: *scale,
            })
        }
        DataType::Boolean => PropertyType::Boolean,
        DataType::Date32 => PropertyType::Date,
        DataType::Timestamp(_, _) => PropertyType::Datetime,
        DataType::FixedSizeBinary(16) => PropertyType::Uuid,
        DataType::List(item) => PropertyType::Array(Box::new(type_of(item.data_type()))),
        other => panic!("no property has the arrow type {other}"),
    }
}
