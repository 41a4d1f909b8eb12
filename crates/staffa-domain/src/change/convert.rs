//! Which types may follow which, and a value of the one as the other. Nothing is ever rounded:
//! a value that the new type cannot hold exactly has no counterpart.

use crate::record::Timestamp;
use crate::schema::{Constraints, DecimalSize, Property, PropertyType};
use crate::value::Value;

const DAY_MICROS: i64 = 86_400_000_000;

/// What is to be expected of a change of type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TypeChange {
    /// Every value has a counterpart.
    Widen,
    /// Most values have one.
    WidenIfExact,
    /// Some values have one.
    Narrow,
}

/// What a change of type is; `None` where there is no way.
pub(super) fn type_change(from: &PropertyType, to: &PropertyType) -> Option<TypeChange> {
    use PropertyType::{Date, Datetime, Decimal, Integer, Number, String, Uuid};
    let narrow_unless = |widens| {
        if widens {
            TypeChange::Widen
        } else {
            TypeChange::Narrow
        }
    };
    Some(match (from, to) {
        // A 64-bit integer has up to nineteen digits.
        (Integer, Decimal(size)) => narrow_unless(whole_digits(*size) >= 19),
        (Integer, Number) => TypeChange::WidenIfExact,
        (Date, Datetime) | (Uuid, String) => TypeChange::Widen,
        (Decimal(from), Decimal(to)) => {
            narrow_unless(to.scale >= from.scale && whole_digits(*to) >= whole_digits(*from))
        }
        (Decimal(size), Integer) => narrow_unless(size.scale == 0 && size.precision <= 18),
        (Number, Integer) | (Datetime, Date) => TypeChange::Narrow,
        _ => return None,
    })
}

fn whole_digits(size: DecimalSize) -> i16 {
    i16::from(size.precision) - i16::from(size.scale)
}

/// A value of type `from` as a value of type `to`; `None` where it has no exact counterpart or
/// there is no way between the types.
pub fn convert(value: &Value, from: &PropertyType, to: &PropertyType) -> Option<Value> {
    if value.is_null() || from == to {
        return Some(value.clone());
    }
    Some(match (value, from, to) {
        (Value::Integer(v), _, PropertyType::Decimal(size)) => {
            Value::Decimal(rescale(i128::from(*v), 0, *size)?)
        }
        (Value::Integer(v), _, PropertyType::Number) => Value::Number(exact_number(*v)?),
        (Value::Date(days), _, PropertyType::Datetime) => {
            let micros = i64::from(*days).checked_mul(DAY_MICROS)?;
            Value::Datetime(Timestamp::from_micros(micros))
        }
        (Value::Uuid(id), _, PropertyType::String) => Value::String(id.to_string()),
        (Value::Decimal(v), PropertyType::Decimal(size), PropertyType::Decimal(to)) => {
            Value::Decimal(rescale(*v, size.scale, *to)?)
        }
        (Value::Decimal(v), PropertyType::Decimal(size), PropertyType::Integer) => {
            let whole = DecimalSize {
                precision: 38,
                scale: 0,
            };
            Value::Integer(rescale(*v, size.scale, whole)?.try_into().ok()?)
        }
        (Value::Number(v), _, PropertyType::Integer) => Value::Integer(exact_integer(*v)?),
        (Value::Datetime(at), _, PropertyType::Date) => {
            let micros = at.as_micros();
            if micros.rem_euclid(DAY_MICROS) != 0 {
                return None;
            }
            Value::Date(i32::try_from(micros.div_euclid(DAY_MICROS)).ok()?)
        }
        _ => return None,
    })
}

/// Moves the point of a decimal, if no digit is lost on either side.
fn rescale(unscaled: i128, scale: i8, to: DecimalSize) -> Option<i128> {
    let power = |digits: i8| 10_i128.checked_pow(u32::from(digits.unsigned_abs()));
    let moved = match to.scale.checked_sub(scale)? {
        by @ 0.. => unscaled.checked_mul(power(by)?)?,
        by => {
            let divisor = power(by)?;
            (unscaled % divisor == 0).then_some(unscaled / divisor)?
        }
    };
    let limit = 10_u128.checked_pow(u32::from(to.precision))?;
    (moved.unsigned_abs() < limit).then_some(moved)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the way back tells whether anything was lost"
)]
fn exact_number(value: i64) -> Option<f64> {
    let number = value as f64;
    (number as i128 == i128::from(value)).then_some(number)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked before, and the number is whole"
)]
fn exact_integer(value: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let fits = (-LIMIT..LIMIT).contains(&value);
    (fits && value.fract() == 0.0).then_some(value as i64)
}

/// A property with another type. What its default and constraints say is said in the new type;
/// what cannot be said there is left out.
pub(super) fn retype(property: &Property, to: &PropertyType) -> Property {
    let from = &property.property_type;
    let value = |value: &Value| convert(value, from, to);
    let bound = |bound: &Option<Value>| bound.as_ref().and_then(value);
    let rules = &property.constraints;
    let one_of: Option<Vec<Value>> = rules.one_of.iter().map(value).collect();
    Property {
        property_type: to.clone(),
        default: bound(&property.default),
        constraints: Constraints {
            minimum: bound(&rules.minimum),
            maximum: bound(&rules.maximum),
            exclusive_minimum: bound(&rules.exclusive_minimum),
            exclusive_maximum: bound(&rules.exclusive_maximum),
            one_of: one_of.unwrap_or_default(),
            ..rules.clone()
        },
        ..property.clone()
    }
}
