//! Values within a statement, for definitions, which take no parameters. What a user typed goes
//! there as hexadecimal digits, so that no text of theirs is ever part of SQL.

use std::fmt::Write as _;

use staffa_domain::value::format_decimal;
use staffa_domain::{PropertyType, Value};

use crate::types::sql_type;

/// A value as a constant expression of the column type of a property.
pub(super) fn literal(value: &Value, property_type: &PropertyType) -> String {
    let kind = sql_type(property_type);
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => decoded(text),
        Value::Object(text) => format!("({})::{kind}", decoded(text)),
        Value::Integer(value) => format!("'{value}'::{kind}"),
        Value::Number(value) => format!("'{value:?}'::{kind}"),
        Value::Boolean(value) => value.to_string(),
        Value::Date(days) => format!("(DATE '1970-01-01' + ({days}))"),
        Value::Datetime(at) => format!("make_timestamp({})", at.as_micros()),
        Value::Uuid(id) => format!("'{id}'::{kind}"),
        Value::Decimal(unscaled) => {
            let scale = match property_type {
                PropertyType::Decimal(size) => size.scale,
                _ => 0,
            };
            format!("'{}'::{kind}", format_decimal(*unscaled, scale))
        }
        Value::Array(items) => {
            let of = match property_type {
                PropertyType::Array(of) => of,
                other => other,
            };
            let items: Vec<String> = items.iter().map(|item| literal(item, of)).collect();
            format!("[{}]::{kind}", items.join(", "))
        }
    }
}

fn decoded(text: &str) -> String {
    let mut hex = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        write!(hex, "{byte:02x}").expect("a string takes all");
    }
    format!("decode(unhex('{hex}'))")
}
