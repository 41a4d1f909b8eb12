//! What one text can be read as.

use staffa_domain::infer::{Digits, Kinds, Marks, Scalar};

use crate::text::parse::{self, Number};

/// The most digits of a decimal.
const DIGITS_MAX: u32 = 38;

/// Words for true and false that are not read.
const OTHER_BOOLEANS: [&[u8]; 12] = [
    b"TRUE", b"FALSE", b"True", b"False", b"yes", b"no", b"Yes", b"No", b"YES", b"NO", b"Y", b"N",
];

/// A number literal, which is one.
pub(super) fn of_number(literal: &[u8]) -> Scalar<'_> {
    let mut scalar = Scalar::new(Kinds::NONE, literal);
    let Some(number) = Number::scan_all(literal) else {
        return scalar;
    };
    let written = Written::read(literal);
    let is_plain = !literal
        .iter()
        .any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    if is_plain && number.to_integer(literal).is_ok() {
        scalar.kinds = scalar.kinds | Kinds::INTEGER;
    }
    if let Ok(double) = number.to_double(literal) {
        scalar.kinds = scalar.kinds | Kinds::NUMBER;
        scalar.is_exact = written.is_held_by(double);
    }
    scalar.digits = written.digits;
    if written.digits.whole.saturating_add(written.digits.fraction) <= DIGITS_MAX {
        scalar.kinds = scalar.kinds | Kinds::DECIMAL;
    }
    scalar
}

/// A text as JSON has it: what is no text in a string's quotes is written without them.
/// None where it is no text that can be stored.
pub(super) fn of_text(text: &[u8]) -> Option<Scalar<'_>> {
    if memchr::memchr(0, text).is_some() {
        return None;
    }
    let mut scalar = Scalar::new(Kinds::STRING, text);
    match text.first() {
        Some(b'-' | b'0'..=b'9') => {
            if let Some(number) = Number::scan_all(text) {
                scalar.marks = Marks::DIGITS;
                if number.has_leading_zero {
                    scalar.marks = Marks::DIGITS.with(Marks::LEADING_ZERO);
                } else {
                    let number = of_number(text);
                    scalar.kinds = scalar.kinds | (number.kinds & Kinds::DECIMAL);
                    scalar.digits = number.digits;
                }
            } else if parse::parse_date(text).is_ok() {
                scalar.kinds = scalar.kinds | Kinds::DATE;
            } else if parse::parse_datetime(text).is_ok() {
                scalar.kinds = scalar.kinds | Kinds::DATETIME;
                if !has_offset(text) {
                    scalar.marks = Marks::NO_OFFSET;
                }
            } else if is_other_date(text) {
                scalar.marks = Marks::OTHER_DATE;
            }
        }
        _ if OTHER_BOOLEANS.contains(&text) => scalar.marks = Marks::OTHER_BOOLEAN,
        _ => {}
    }
    if parse::parse_uuid(text).is_ok() {
        scalar.kinds = scalar.kinds | Kinds::UUID;
    }
    Some(scalar)
}

/// A cell of CSV, where texts have no quotes to tell them from the rest.
pub(super) fn of_cell(text: &[u8]) -> Option<Scalar<'_>> {
    let mut scalar = of_text(text)?;
    if scalar.marks.has(Marks::DIGITS) && !scalar.marks.has(Marks::LEADING_ZERO) {
        let number = of_number(text);
        scalar.kinds = scalar.kinds | number.kinds;
        scalar.is_exact = number.is_exact;
        scalar.digits = number.digits;
    } else if parse::parse_boolean(text).is_ok() {
        scalar.kinds = scalar.kinds | Kinds::BOOLEAN;
    }
    Some(scalar)
}

fn has_offset(moment: &[u8]) -> bool {
    let sign = moment.len().checked_sub(6).and_then(|at| moment.get(at));
    matches!(moment.last(), Some(b'Z' | b'z')) || matches!(sign, Some(b'+' | b'-'))
}

/// Whether a text is three numbers, one of them a year, as in `31/01/2013`.
fn is_other_date(text: &[u8]) -> bool {
    let is_mark = |byte: &u8| matches!(byte, b'/' | b'.' | b'-');
    let parts: Vec<&[u8]> = text.split(is_mark).collect();
    let is_number = |part: &&[u8]| part.iter().all(u8::is_ascii_digit);
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    parts.iter().all(is_number) && matches!(*lengths, [1 | 2, 1 | 2, 4] | [4, 1 | 2, 1 | 2])
}

/// A number as it is written.
struct Written {
    digits: Digits,
    /// Without zeros at either end.
    significant: Vec<u8>,
    /// The power of ten of the first of them.
    exponent: i64,
}

impl Written {
    fn read(literal: &[u8]) -> Self {
        let unsigned = literal.strip_prefix(b"-").unwrap_or(literal);
        let split = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, exponent) = match split {
            Some(at) => (&unsigned[..at], read_exponent(&unsigned[at + 1..])),
            None => (unsigned, 0),
        };
        let point = mantissa.iter().position(|byte| *byte == b'.');
        let whole = point.unwrap_or(mantissa.len());
        let digits: Vec<u8> = mantissa
            .iter()
            .copied()
            .filter(|byte| *byte != b'.')
            .collect();
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        let mut significant = digits[zeros..].to_vec();
        let last = significant.iter().rposition(|digit| *digit != b'0');
        significant.truncate(last.map_or(0, |last| last + 1));
        let length = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let point = length(whole).saturating_add(exponent);
        let first = point.saturating_sub(length(zeros));
        let count = |digits: i64| u32::try_from(digits.max(0)).unwrap_or(u32::MAX);
        Self {
            digits: Digits {
                whole: if significant.is_empty() {
                    0
                } else {
                    count(first)
                },
                fraction: count(length(digits.len()).saturating_sub(point)),
            },
            significant,
            exponent: first.saturating_sub(1),
        }
    }

    /// Whether a double, written with as many digits, is written alike.
    fn is_held_by(&self, double: f64) -> bool {
        /// So many digits every double keeps, and so many tell it from all others.
        const KEPT: usize = 15;
        const TELLING: usize = 17;
        let count = self.significant.len();
        if count == 0 {
            return true;
        }
        if !double.is_normal() || count > TELLING {
            return false;
        }
        if count <= KEPT {
            return true;
        }
        let written = format!("{:.*e}", count - 1, double.abs());
        let Some((mantissa, exponent)) = written.split_once('e') else {
            return false;
        };
        let digits = mantissa.bytes().filter(|byte| *byte != b'.');
        exponent.parse() == Ok(self.exponent) && digits.eq(self.significant.iter().copied())
    }
}

fn read_exponent(text: &[u8]) -> i64 {
    const BEYOND: i64 = 1 << 40;
    let text = std::str::from_utf8(text).unwrap_or_default();
    let beyond = match text.starts_with('-') {
        true => -BEYOND,
        false => BEYOND,
    };
    let exponent = text.parse().unwrap_or(beyond);
    exponent.clamp(-BEYOND, BEYOND)
}
