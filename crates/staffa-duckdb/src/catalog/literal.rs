//! Values within a statement, for definitions, which take no parameters. What a user typed goes
//! there as hexadecimal digits, so that no text of theirs is ever part of SQL.
//!
//! The engine adds a column by its default at once only where that is a constant, or a cast of
//! one. Anything else it carries out as an update of every record, which takes ten times as long,
//! and for a list, whose rows are deleted and inserted for it, minutes for a few million records.

use std::fmt::Write as _;

use staffa_domain::value::format_decimal;
use staffa_domain::{PropertyType, Value};

use crate::types::sql_type;

/// A value as a constant of the column type of a property.
pub(super) fn literal(value: &Value, property_type: &PropertyType) -> String {
    let kind = sql_type(property_type);
    match (value, property_type) {
        (Value::Null, _) => "NULL".to_owned(),
        // No text casts to a list of these, so this is no constant.
        (Value::Array(items), PropertyType::Array(of)) if **of == PropertyType::Object => {
            let items: Vec<String> = items.iter().map(|item| literal(item, of)).collect();
            format!("[{}]::{kind}", items.join(", "))
        }
        (value, _) => format!("{}::{kind}", encoded(&text(value, property_type))),
    }
}

/// The text that casts to a value.
fn text(value: &Value, property_type: &PropertyType) -> String {
    match value {
        Value::String(text) | Value::Object(text) => text.clone(),
        // Enough digits to be the same number again.
        Value::Number(value) => format!("{value:?}"),
        Value::Decimal(unscaled) => {
            let scale = match property_type {
                PropertyType::Decimal(size) => size.scale,
                _ => 0,
            };
            format_decimal(*unscaled, scale)
        }
        Value::Datetime(at) => moment(at.as_micros()),
        Value::Array(items) => {
            let of = match property_type {
                PropertyType::Array(of) => of,
                other => other,
            };
            let items: Vec<String> = items.iter().map(|item| item_text(item, of)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Null | Value::Integer(_) | Value::Boolean(_) | Value::Date(_) | Value::Uuid(_) => {
            value.to_string()
        }
    }
}

/// Microseconds since the epoch as date and time.
fn moment(micros: i64) -> String {
    const SECOND: i64 = 1_000_000;
    let (seconds, fraction) = (micros.div_euclid(SECOND), micros.rem_euclid(SECOND));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let date = Value::Date(i32::try_from(days).unwrap_or(i32::MAX));
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{date} {hour:02}:{minute:02}:{second:02}.{fraction:06}")
}

/// The text of an element of a list. In quotes it may be anything.
fn item_text(item: &Value, of: &PropertyType) -> String {
    let text = text(item, of);
    match item {
        Value::String(_) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        _ => text,
    }
}

fn encoded(text: &str) -> String {
    let mut constant = String::with_capacity(3 + text.len() * 4);
    constant.push_str("E'");
    for byte in text.bytes() {
        write!(constant, "\\x{byte:02x}").expect("a string takes all");
    }
    constant.push('\'');
    constant
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;
    use staffa_domain::schema::DecimalSize;
    use staffa_domain::{PropertyType, Timestamp, Value};

    use super::literal;
    use crate::types::sql_type;

    /// A table of so many rows: an update of them all is seen in the log.
    const ROWS: u64 = 20_000;

    fn array(of: PropertyType, items: Vec<Value>) -> (PropertyType, Value) {
        (PropertyType::Array(Box::new(of)), Value::Array(items))
    }

    #[test]
    fn a_column_is_added_by_its_default_without_an_update() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.duckdb");
        let log = folder.path().join("t.duckdb.wal");
        let connection = Connection::open(&path).unwrap();
        let run = |sql: &str| connection.execute_batch(sql).unwrap();
        run(&format!(
            "CREATE TABLE t AS SELECT range FROM range({ROWS})"
        ));
        let text = |text: &str| Value::String(text.to_owned());
        let id = staffa_domain::RecordId::from_bytes([7; 16]);
        let decimal = PropertyType::Decimal(DecimalSize {
            precision: 9,
            scale: 2,
        });
        let defaults = [
            (PropertyType::String, text("it's \\x41 \"é\"")),
            (PropertyType::Integer, Value::Integer(i64::MIN)),
            (PropertyType::Number, Value::Number(-0.1)),
            (decimal.clone(), Value::Decimal(-5)),
            (PropertyType::Boolean, Value::Boolean(true)),
            (PropertyType::Date, Value::Date(-719_162)),
            (PropertyType::Datetime, Value::Datetime(Timestamp::MAX)),
            (PropertyType::Uuid, Value::Uuid(id)),
            (PropertyType::Object, Value::Object("{\"a\":1}".to_owned())),
            array(PropertyType::String, vec![text("a,b")]),
            array(decimal, vec![Value::Decimal(-5)]),
            array(
                PropertyType::Datetime,
                vec![Value::Datetime(Timestamp::MAX)],
            ),
        ];
        for (at, (kind, value)) in defaults.iter().enumerate() {
            run("CHECKPOINT");
            let (column, default) = (sql_type(kind), literal(value, kind));
            run(&format!(
                "ALTER TABLE t ADD COLUMN c{at} {column} DEFAULT {default}"
            ));
            let written = std::fs::metadata(&log).unwrap().len();
            assert!(written < ROWS, "{written} bytes for {value} as {default}");
        }
    }
}
