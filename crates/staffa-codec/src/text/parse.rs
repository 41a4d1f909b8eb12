//! Text to scalars: what each type accepts on the wire, exactly.

mod number;
mod time;

#[cfg(test)]
mod tests;

use staffa_domain::error::RecordErrorCode;
use staffa_domain::record::{RecordId, Timestamp};
use staffa_domain::schema::{DecimalSize, PropertyType};
use staffa_domain::value::Value;

pub(crate) use number::Number;

/// Why a text is no value of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseProblem {
    /// The kind of problem: [`TypeMismatch`](RecordErrorCode::TypeMismatch) or
    /// [`OutOfRange`](RecordErrorCode::OutOfRange).
    pub code: RecordErrorCode,
    /// What is wrong, for a person.
    pub message: String,
}

impl ParseProblem {
    #[cold]
    pub(crate) fn mismatch(message: impl Into<String>) -> Self {
        Self {
            code: RecordErrorCode::TypeMismatch,
            message: message.into(),
        }
    }

    #[cold]
    pub(crate) fn range(message: impl Into<String>) -> Self {
        Self {
            code: RecordErrorCode::OutOfRange,
            message: message.into(),
        }
    }
}

/// Reads a 64-bit integer. `1.0` and `1e3` are integers too, as JSON Schema has it.
pub fn parse_integer(text: impl AsRef<[u8]>) -> Result<i64, ParseProblem> {
    let text = text.as_ref();
    match Number::scan_all(text) {
        Some(number) => number.to_integer(text),
        None => Err(ParseProblem::mismatch("must be an integer")),
    }
}

/// Reads a finite double, correctly rounded.
pub fn parse_number(text: impl AsRef<[u8]>) -> Result<f64, ParseProblem> {
    let text = text.as_ref();
    match Number::scan_all(text) {
        Some(number) => number.to_double(text),
        None => Err(ParseProblem::mismatch("must be a number")),
    }
}

/// Reads an exact decimal into its unscaled integer.
pub fn parse_decimal(text: impl AsRef<[u8]>, size: DecimalSize) -> Result<i128, ParseProblem> {
    let text = text.as_ref();
    match Number::scan_all(text) {
        Some(number) => number.to_decimal(text, size),
        None => Err(ParseProblem::mismatch("must be a decimal number")),
    }
}

/// Reads `2013-01-31` into days since 1970-01-01.
pub fn parse_date(text: impl AsRef<[u8]>) -> Result<i32, ParseProblem> {
    time::parse_date(text.as_ref())
}

/// Reads an RFC 3339 moment. Without an offset it is taken as UTC; the separator may be a
/// space; digits beyond microseconds are dropped.
pub fn parse_datetime(text: impl AsRef<[u8]>) -> Result<Timestamp, ParseProblem> {
    time::parse_datetime(text.as_ref())
}

/// Reads the hyphenated form of a UUID, in either case.
pub fn parse_uuid(text: impl AsRef<[u8]>) -> Result<RecordId, ParseProblem> {
    let text = text.as_ref();
    // `Uuid` also reads braces, URNs and bare digits; one spelling is enough on a wire.
    if text.len() == 36
        && let Ok(uuid) = uuid::Uuid::try_parse_ascii(text)
    {
        return Ok(RecordId::from(uuid));
    }
    Err(ParseProblem::mismatch("must be a uuid"))
}

/// Reads `true` or `false`.
pub fn parse_boolean(text: impl AsRef<[u8]>) -> Result<bool, ParseProblem> {
    match text.as_ref() {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => Err(ParseProblem::mismatch("must be true or false")),
    }
}

/// Reads a text as a value of a scalar type.
pub fn parse_scalar(property_type: &PropertyType, text: &str) -> Result<Value, ParseProblem> {
    Ok(match property_type {
        PropertyType::String if text.contains('\0') => {
            return Err(ParseProblem::mismatch("text cannot hold U+0000"));
        }
        PropertyType::String => Value::String(text.to_owned()),
        PropertyType::Integer => Value::Integer(parse_integer(text)?),
        PropertyType::Number => Value::Number(parse_number(text)?),
        PropertyType::Decimal(size) => Value::Decimal(parse_decimal(text, *size)?),
        PropertyType::Boolean => Value::Boolean(parse_boolean(text)?),
        PropertyType::Date => Value::Date(parse_date(text)?),
        PropertyType::Datetime => Value::Datetime(parse_datetime(text)?),
        PropertyType::Uuid => Value::Uuid(parse_uuid(text)?),
        PropertyType::Object | PropertyType::Array(_) => {
            let message = format!("a text cannot be read as {property_type}");
            return Err(ParseProblem::mismatch(message));
        }
    })
}
