//! The rules of one property, applied to one value or to a column of them.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};

use crate::error::RecordErrorCode;
use crate::record::{RecordId, Timestamp};
use crate::schema::{Constraints, Property, PropertyType};
use crate::value::{Value, format_decimal};

/// What a rule says of a value that breaks it.
pub(crate) type Breach = (RecordErrorCode, String);

/// Checks one value against a property's constraints; its type is taken as right.
pub fn check_value(property: &Property, value: &Value) -> Result<(), Breach> {
    let rules = &property.constraints;
    match value {
        Value::Null | Value::Object(_) => Ok(()),
        Value::String(text) => check_text(rules, text),
        Value::Array(items) => check_len(rules, items.len()),
        other => check_ordered(property, other),
    }
}

/// Finds the rows of a property's array that break its constraints. Nulls break none.
pub(crate) fn check_array(
    property: &Property,
    array: &ArrayRef,
    found: &mut dyn FnMut(usize, Breach),
) {
    let rules = &property.constraints;
    if rules.is_empty() {
        return;
    }
    match &property.property_type {
        PropertyType::String => {
            let texts = array.as_string::<i32>();
            each(array, found, |row| check_text(rules, texts.value(row)));
        }
        PropertyType::Array(_) => {
            let lists = array.as_list::<i32>();
            each(array, found, |row| check_len(rules, lists.value(row).len()));
        }
        PropertyType::Object => {}
        _ => each(array, found, |row| {
            match value_at(&property.property_type, array, row) {
                Some(value) => check_ordered(property, &value),
                None => Ok(()),
            }
        }),
    }
}

fn each(
    array: &ArrayRef,
    found: &mut dyn FnMut(usize, Breach),
    check: impl Fn(usize) -> Result<(), Breach>,
) {
    for row in 0..array.len() {
        if array.is_valid(row)
            && let Err(breach) = check(row)
        {
            found(row, breach);
        }
    }
}

/// Reads a scalar out of an array laid out for `property_type`; `None` for null and for
/// arrays, which no rule on single values concerns.
pub fn value_at(property_type: &PropertyType, array: &ArrayRef, row: usize) -> Option<Value> {
    if array.is_null(row) {
        return None;
    }
    Some(match property_type {
        PropertyType::String => Value::String(array.as_string::<i32>().value(row).to_owned()),
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
            let bytes = array.as_fixed_size_binary().value(row).try_into().ok()?;
            Value::Uuid(RecordId::from_bytes(bytes))
        }
        PropertyType::Object => Value::Object(array.as_string::<i32>().value(row).to_owned()),
        PropertyType::Array(_) => return None,
    })
}

fn check_ordered(property: &Property, value: &Value) -> Result<(), Breach> {
    let rules = &property.constraints;
    let breaks = |bound: &Option<Value>, bad: fn(std::cmp::Ordering) -> bool| {
        bound
            .as_ref()
            .filter(|bound| value.compare(bound).is_some_and(bad))
            .cloned()
    };
    if let Some(bound) = breaks(&rules.minimum, std::cmp::Ordering::is_lt) {
        let message = format!("must be at least {}", shown(property, &bound));
        return Err((RecordErrorCode::BelowMinimum, message));
    }
    if let Some(bound) = breaks(&rules.exclusive_minimum, std::cmp::Ordering::is_le) {
        let message = format!("must be more than {}", shown(property, &bound));
        return Err((RecordErrorCode::BelowMinimum, message));
    }
    if let Some(bound) = breaks(&rules.maximum, std::cmp::Ordering::is_gt) {
        let message = format!("must be at most {}", shown(property, &bound));
        return Err((RecordErrorCode::AboveMaximum, message));
    }
    if let Some(bound) = breaks(&rules.exclusive_maximum, std::cmp::Ordering::is_ge) {
        let message = format!("must be less than {}", shown(property, &bound));
        return Err((RecordErrorCode::AboveMaximum, message));
    }
    if !rules.one_of.is_empty() && !rules.one_of.contains(value) {
        return Err(not_in_enum(rules, |member| shown(property, member)));
    }
    Ok(())
}

/// A value as the wire writes it, without quotes.
pub(super) fn shown(property: &Property, value: &Value) -> String {
    match (value, &property.property_type) {
        (Value::Decimal(digits), PropertyType::Decimal(size)) => {
            format_decimal(*digits, size.scale)
        }
        (other, _) => other.to_string(),
    }
}

fn not_in_enum(rules: &Constraints, show: impl Fn(&Value) -> String) -> Breach {
    let shown: Vec<String> = rules.one_of.iter().take(10).map(show).collect();
    let more = if rules.one_of.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    let message = format!("must be one of {}{more}", shown.join(", "));
    (RecordErrorCode::NotInEnum, message)
}

fn check_text(rules: &Constraints, text: &str) -> Result<(), Breach> {
    if let Some(least) = rules.min_length
        && code_points(text) < least
    {
        let message = format!("must have at least {least} characters");
        return Err((RecordErrorCode::TooShort, message));
    }
    // A text has no more code points than bytes, so most need no count.
    if let Some(most) = rules.max_length
        && text.len() as u64 > most
        && code_points(text) > most
    {
        let message = format!("must have at most {most} characters");
        return Err((RecordErrorCode::TooLong, message));
    }
    if let Some(pattern) = &rules.pattern
        && !pattern.is_match(text)
    {
        let message = format!("must match the pattern {}", pattern.as_str());
        return Err((RecordErrorCode::PatternMismatch, message));
    }
    let is_text = |value: &Value| matches!(value, Value::String(member) if member == text);
    if !rules.one_of.is_empty() && !rules.one_of.iter().any(is_text) {
        return Err(not_in_enum(rules, ToString::to_string));
    }
    Ok(())
}

fn code_points(text: &str) -> u64 {
    text.chars().count() as u64
}

fn check_len(rules: &Constraints, len: usize) -> Result<(), Breach> {
    let len = len as u64;
    match (rules.min_items, rules.max_items) {
        (Some(least), _) if len < least => Err((
            RecordErrorCode::TooFewItems,
            format!("must have at least {least} items"),
        )),
        (_, Some(most)) if len > most => Err((
            RecordErrorCode::TooManyItems,
            format!("must have at most {most} items"),
        )),
        _ => Ok(()),
    }
}
