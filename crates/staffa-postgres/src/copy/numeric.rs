//! PostgreSQL's numeric: digits to the base of 10,000 around a decimal point.

use bytes::{BufMut, BytesMut};

use crate::copy::CodecError;

const NEGATIVE: u16 = 0x4000;
const BASE: u128 = 10_000;
const DIGITS_MAX: i128 = 9_999;
/// The largest number of 38 digits.
const UNSCALED_MAX: i128 = 10_i128.pow(38) - 1;
const BASE_DIGITS: u32 = 4;

/// Writes an unscaled integer with `scale` digits after the point.
pub(super) fn put_numeric(unscaled: i128, scale: u32, out: &mut BytesMut) {
    let size = unscaled.unsigned_abs();
    let one = 10_u128.pow(scale);
    let mut groups = whole_groups(size / one);
    let mut weight = i16::try_from(groups.len()).expect("at most ten groups") - 1;
    groups.extend(fraction_groups(size % one, scale));
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    weight -= i16::try_from(leading).expect("at most twenty groups");
    if groups.is_empty() {
        weight = 0;
    }
    out.put_u16(u16::try_from(groups.len()).expect("at most twenty groups"));
    out.put_i16(weight);
    out.put_u16(if unscaled < 0 { NEGATIVE } else { 0 });
    out.put_u16(u16::try_from(scale).expect("a scale is at most 38"));
    for group in groups {
        out.put_u16(group);
    }
}

fn whole_groups(mut whole: u128) -> Vec<u16> {
    let mut groups = Vec::with_capacity(20);
    while whole > 0 {
        groups.push(u16::try_from(whole % BASE).expect("below the base"));
        whole /= BASE;
    }
    groups.reverse();
    groups
}

fn fraction_groups(mut fraction: u128, scale: u32) -> Vec<u16> {
    let mut groups = Vec::new();
    let mut left = scale;
    while left > 0 {
        let group = if left >= BASE_DIGITS {
            left -= BASE_DIGITS;
            let unit = 10_u128.pow(left);
            let group = fraction / unit;
            fraction %= unit;
            group
        } else {
            let group = fraction * 10_u128.pow(BASE_DIGITS - left);
            left = 0;
            group
        };
        groups.push(u16::try_from(group).expect("below the base"));
    }
    groups
}

/// Reads a numeric as an unscaled integer with `scale` digits after the point.
pub(super) fn read_numeric(bytes: &[u8], scale: u32) -> Result<i128, CodecError> {
    let short = || CodecError::new("numeric is cut short");
    let (head, body) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    let count = usize::from(u16::from_be_bytes([head[0], head[1]]));
    let weight = i32::from(i16::from_be_bytes([head[2], head[3]]));
    let sign = u16::from_be_bytes([head[4], head[5]]);
    if sign != 0 && sign != NEGATIVE {
        return Err(CodecError::new("numeric is no finite number"));
    }
    if body.len() != count * 2 {
        return Err(short());
    }
    let scale = i32::try_from(scale).map_err(|_| CodecError::new("scale is too large"))?;
    let mut exponent = weight * 4 + scale;
    let mut size: i128 = 0;
    for group in body.chunks_exact(2) {
        let digits = i128::from(u16::from_be_bytes([group[0], group[1]]));
        if digits > DIGITS_MAX {
            return Err(CodecError::new("numeric has a digit beyond its base"));
        }
        let part = shift(digits, exponent)?;
        size = size.checked_add(part).ok_or_else(too_large)?;
        exponent -= 4;
    }
    if size > UNSCALED_MAX {
        return Err(too_large());
    }
    Ok(if sign == NEGATIVE { -size } else { size })
}

/// `digits` times ten to the `exponent`, exactly.
fn shift(digits: i128, exponent: i32) -> Result<i128, CodecError> {
    if digits == 0 {
        return Ok(0);
    }
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    if exponent >= 0 {
        let power = power.ok_or_else(too_large)?;
        return digits.checked_mul(power).ok_or_else(too_large);
    }
    match power {
        Some(power) if digits % power == 0 => Ok(digits / power),
        _ => Err(CodecError::new("numeric has more digits than its scale")),
    }
}

fn too_large() -> CodecError {
    CodecError::new("numeric is larger than 38 digits")
}
