//! Scalars to text: the one spelling that each type has on the wire.
//!
//! Everything appends to a byte buffer and allocates nothing else: these functions are the
//! inner loop of every answer.

use staffa_domain::schema::PropertyType;
use staffa_domain::value::{Value, format_decimal};

/// `00` to `99`, two bytes each.
const PAIRS: &[u8; 200] = b"\
0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

const HEX: &[u8; 16] = b"0123456789abcdef";

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Appends an integer.
#[inline]
pub fn push_integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the shortest text that reads back as the same double: `1.0`, `-0.0`, `1e300`.
/// A value that is not finite, which no record holds, becomes `null`.
#[inline]
pub fn push_number(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends a decimal with exactly `scale` digits after the point, without quotes.
pub fn push_decimal(out: &mut Vec<u8>, unscaled: i128, scale: i8) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
    if unscaled < 0 {
        out.push(b'-');
    }
    let scale = usize::try_from(scale).unwrap_or(0);
    if scale == 0 {
        out.extend_from_slice(digits);
    } else if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

#[inline]
fn pair(value: u32) -> [u8; 2] {
    let at = (value as usize % 100) * 2;
    [PAIRS[at], PAIRS[at + 1]]
}

/// Splits days since 1970-01-01 into year, month and day of the proleptic Gregorian
/// calendar (the algorithm of Howard Hinnant's `civil_from_days`).
#[inline]
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |value: i64| u32::try_from(value).unwrap_or(0);
    (year, small(month), small(day))
}

/// The ten bytes of a date from year 0 to 9999; other years, which no record holds, wrap.
#[inline]
fn date_bytes(days: i64) -> [u8; 10] {
    let (year, month, day) = civil(days);
    let year = u32::try_from(year.rem_euclid(10_000)).unwrap_or(0);
    let mut text = *b"0000-00-00";
    text[..2].copy_from_slice(&pair(year / 100));
    text[2..4].copy_from_slice(&pair(year % 100));
    text[5..7].copy_from_slice(&pair(month));
    text[8..].copy_from_slice(&pair(day));
    text
}

/// Appends a date as `2013-01-31`.
#[inline]
pub fn push_date(out: &mut Vec<u8>, days: i32) {
    out.extend_from_slice(&date_bytes(i64::from(days)));
}

/// Appends a moment as `2013-01-01T10:00:00Z`; where the fraction of the second is not zero,
/// with exactly six digits of it.
#[inline]
pub fn push_datetime(out: &mut Vec<u8>, micros: i64) {
    let seconds = micros.div_euclid(MICROS_PER_SECOND);
    let fraction = u32::try_from(micros.rem_euclid(MICROS_PER_SECOND)).unwrap_or(0);
    let of_day = u32::try_from(seconds.rem_euclid(SECONDS_PER_DAY)).unwrap_or(0);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    text[..10].copy_from_slice(&date_bytes(seconds.div_euclid(SECONDS_PER_DAY)));
    text[11..13].copy_from_slice(&pair(of_day / 3_600));
    text[14..16].copy_from_slice(&pair(of_day / 60 % 60));
    text[17..19].copy_from_slice(&pair(of_day % 60));
    if fraction == 0 {
        text[19] = b'Z';
        out.extend_from_slice(&text[..20]);
    } else {
        text[20..22].copy_from_slice(&pair(fraction / 10_000));
        text[22..24].copy_from_slice(&pair(fraction / 100 % 100));
        text[24..26].copy_from_slice(&pair(fraction % 100));
        out.extend_from_slice(&text);
    }
}

/// Appends a UUID in its lower-case, hyphenated form.
#[inline]
pub fn push_uuid(out: &mut Vec<u8>, bytes: [u8; 16]) {
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    out.extend_from_slice(&text);
}

/// Appends `true` or `false`.
#[inline]
pub fn push_boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a text as a JSON string: only `"`, `\` and U+0000 to U+001F are escaped.
#[inline]
pub fn push_json_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    if needs_escape(bytes) {
        push_escaped(out, bytes);
    } else {
        out.extend_from_slice(bytes);
    }
    out.push(b'"');
}

/// Whether any byte must be escaped. Without branches, so that it becomes vector code.
#[inline]
pub(crate) fn needs_escape(bytes: &[u8]) -> bool {
    let special = |byte: u8| u8::from((byte < 0x20) || (byte == b'"') || (byte == b'\\'));
    bytes.iter().fold(0, |any, byte| any | special(*byte)) != 0
}

#[cold]
fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut clean_from = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[clean_from..index]);
        clean_from = index + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            _ => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
    }
    out.extend_from_slice(&bytes[clean_from..]);
}

/// One value as the bare text that `text::parse` reads back as the same value. Objects and
/// arrays are JSON; null is empty.
///
/// # Panics
/// When the value is not of the type, which is a bug of the caller.
pub fn value_text(property_type: &PropertyType, value: &Value) -> String {
    let mut out = Vec::new();
    match value {
        Value::Null => {}
        Value::String(text) | Value::Object(text) => out.extend_from_slice(text.as_bytes()),
        Value::Integer(value) => push_integer(&mut out, *value),
        Value::Number(value) => push_number(&mut out, *value),
        Value::Decimal(value) => return format_decimal(*value, scale_of(property_type)),
        Value::Boolean(value) => push_boolean(&mut out, *value),
        Value::Date(value) => push_date(&mut out, *value),
        Value::Datetime(value) => push_datetime(&mut out, value.as_micros()),
        Value::Uuid(value) => push_uuid(&mut out, *value.as_bytes()),
        Value::Array(_) => return value_json(property_type, value).to_string(),
    }
    String::from_utf8(out).expect("only ascii and whole texts are written")
}

/// One value as JSON on the wire: decimals, dates, datetimes and UUIDs are strings.
pub fn value_json(property_type: &PropertyType, value: &Value) -> serde_json::Value {
    match (property_type, value) {
        (_, Value::Null) => serde_json::Value::Null,
        (_, Value::Integer(value)) => (*value).into(),
        (_, Value::Number(value)) => (*value).into(),
        (_, Value::Boolean(value)) => (*value).into(),
        (_, Value::Object(text)) => serde_json::from_str(text).unwrap_or_default(),
        (PropertyType::Array(items), Value::Array(values)) => values
            .iter()
            .map(|value| value_json(items, value))
            .collect(),
        _ => value_text(property_type, value).into(),
    }
}

fn scale_of(property_type: &PropertyType) -> i8 {
    match property_type {
        PropertyType::Decimal(size) => size.scale,
        PropertyType::Array(items) => scale_of(items),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
