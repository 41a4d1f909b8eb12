//! One typed value outside a batch: a default, an enum member, a bound, a filter operand.

use std::cmp::Ordering;
use std::fmt;

use crate::record::{RecordId, Timestamp};

/// A value of one property, already read as that property's type.
///
/// Values of different types never compare: [`Value::compare`] answers `None`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// The absence of a value.
    Null,
    /// A text, any Unicode but U+0000.
    String(String),
    /// A 64-bit signed integer.
    Integer(i64),
    /// A finite IEEE 754 double.
    Number(f64),
    /// A decimal as its unscaled integer; the scale is the property's.
    Decimal(i128),
    /// True or false.
    Boolean(bool),
    /// Days since 1970-01-01.
    Date(i32),
    /// A moment in UTC.
    Datetime(Timestamp),
    /// A UUID in network byte order.
    Uuid(RecordId),
    /// The compact JSON text of an object.
    Object(String),
    /// A list of scalars of one type.
    Array(Vec<Value>),
}

impl Value {
    /// Whether this is the absence of a value.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Compares two values of one type: text by code point, the rest by size.
    ///
    /// `None` when the types differ, or for objects and arrays, which have no order.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::String(a), Self::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => Some(a.cmp(b)),
            (Self::Boolean(a), Self::Boolean(b)) => Some(a.cmp(b)),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::Datetime(a), Self::Datetime(b)) => Some(a.cmp(b)),
            (Self::Uuid(a), Self::Uuid(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// The word for this value's type, as error messages use it.
    pub const fn type_word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::String(_) => "string",
            Self::Integer(_) => "integer",
            Self::Number(_) => "number",
            Self::Decimal(_) => "decimal",
            Self::Boolean(_) => "boolean",
            Self::Date(_) => "date",
            Self::Datetime(_) => "datetime",
            Self::Uuid(_) => "uuid",
            Self::Object(_) => "object",
            Self::Array(_) => "array",
        }
    }
}

/// Writes the value for a person to read in an error message; not a wire format.
/// A decimal shows its unscaled digits: format it with its scale where that is known.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::String(v) => write!(f, "\"{v}\""),
            Self::Integer(v) => write!(f, "{v}"),
            Self::Number(v) => write!(f, "{v}"),
            Self::Decimal(v) => write!(f, "{v}"),
            Self::Boolean(v) => write!(f, "{v}"),
            Self::Date(v) => match record_date(*v) {
                Some(date) => write!(f, "{date}"),
                None => write!(f, "{v} days"),
            },
            Self::Datetime(v) => write!(f, "{v}"),
            Self::Uuid(v) => write!(f, "{v}"),
            Self::Object(v) => f.write_str(v),
            Self::Array(v) => f
                .debug_list()
                .entries(v.iter().map(ToString::to_string))
                .finish(),
        }
    }
}

fn record_date(days: i32) -> Option<jiff::civil::Date> {
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch
        .checked_add(jiff::Span::new().try_days(days).ok()?)
        .ok()
}

/// Formats an unscaled decimal with `scale` digits after the point, exactly.
pub fn format_decimal(unscaled: i128, scale: i8) -> String {
    let digits = unscaled.unsigned_abs().to_string();
    let sign = if unscaled < 0 { "-" } else { "" };
    let scale = usize::try_from(scale).unwrap_or(0);
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}
