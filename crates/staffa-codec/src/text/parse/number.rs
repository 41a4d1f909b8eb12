//! Number literals: one scan, then the exact integer, decimal or nearest double.

use staffa_domain::schema::DecimalSize;

use super::ParseProblem;

/// Every power of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Up to here every integer is a double.
const EXACT_MANTISSA_MAX: u64 = 1 << 53;

/// A number literal, scanned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    /// Where it ends in the buffer it was scanned in.
    pub(crate) end: usize,
    mantissa: u64,
    exponent: i32,
    is_negative: bool,
    /// Neither point nor exponent.
    is_plain: bool,
    /// `mantissa` holds all digits.
    is_exact: bool,
    /// The whole part starts with a zero and goes on, which JSON refuses.
    pub(crate) has_leading_zero: bool,
}

/// Why there is no number literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoNumber {
    /// The byte that does not fit; the buffer's length when it ends too early.
    pub(crate) at: usize,
}

impl Number {
    /// Scans a literal of JSON's grammar; leading zeros are only noted.
    #[inline]
    pub(crate) fn scan(bytes: &[u8], start: usize) -> Result<Self, NoNumber> {
        let is_negative = bytes.get(start) == Some(&b'-');
        let whole = start + usize::from(is_negative);
        let mut digits = Digits {
            mantissa: 0,
            is_exact: true,
        };
        let mut end = digits.scan(bytes, whole);
        if end == whole {
            return Err(NoNumber { at: end });
        }
        let mut number = Self {
            end,
            mantissa: digits.mantissa,
            exponent: 0,
            is_negative,
            is_plain: true,
            is_exact: digits.is_exact,
            has_leading_zero: bytes[whole] == b'0' && end - whole > 1,
        };
        let mut next = bytes.get(end).copied();
        if next == Some(b'.') {
            let fraction = end + 1;
            end = digits.scan(bytes, fraction);
            if end == fraction {
                return Err(NoNumber { at: end });
            }
            number.exponent = -i32::try_from(end - fraction).unwrap_or(i32::MAX);
            number.is_plain = false;
            next = bytes.get(end).copied();
        }
        number.mantissa = digits.mantissa;
        number.is_exact = digits.is_exact;
        number.end = end;
        if matches!(next, Some(b'e' | b'E')) {
            let (exponent, end) = scan_exponent(bytes, end + 1)?;
            number.exponent = number.exponent.saturating_add(exponent);
            number.is_plain = false;
            number.end = end;
        }
        Ok(number)
    }

    /// Scans a text that is a literal from end to end.
    pub(crate) fn scan_all(text: &[u8]) -> Option<Self> {
        let number = Self::scan(text, 0).ok()?;
        (number.end == text.len()).then_some(number)
    }

    /// The integer; `literal` is the text that was scanned.
    #[inline]
    pub(crate) fn to_integer(self, literal: &[u8]) -> Result<i64, ParseProblem> {
        if self.is_plain
            && self.is_exact
            && let Ok(size) = i64::try_from(self.mantissa)
        {
            return Ok(if self.is_negative { -size } else { size });
        }
        match scaled(literal, 0) {
            Ok(value) => i64::try_from(value).map_err(|_| integer_range()),
            Err(Inexact::Fraction) => Err(ParseProblem::mismatch(
                "must be an integer, without a fraction",
            )),
            Err(Inexact::Overflow) => Err(integer_range()),
        }
    }

    /// The nearest double; `literal` is the text that was scanned.
    #[inline]
    pub(crate) fn to_double(self, literal: &[u8]) -> Result<f64, ParseProblem> {
        if self.is_exact
            && self.mantissa <= EXACT_MANTISSA_MAX
            && self.exponent.unsigned_abs() <= 22
        {
            // Both operands are exact, so the one operation rounds correctly.
            #[expect(clippy::cast_precision_loss, reason = "at most 2^53 is exact")]
            let size = self.mantissa as f64;
            let power = EXACT_POWERS[self.exponent.unsigned_abs() as usize];
            let size = if self.exponent < 0 {
                size / power
            } else {
                size * power
            };
            return Ok(if self.is_negative { -size } else { size });
        }
        let value = std::str::from_utf8(literal)
            .ok()
            .and_then(|text| text.parse::<f64>().ok());
        match value {
            Some(value) if value.is_finite() => Ok(value),
            _ => Err(ParseProblem::range(
                "must fit a 64-bit floating-point number",
            )),
        }
    }

    /// The unscaled decimal; `literal` is the text that was scanned.
    #[expect(
        clippy::unused_self,
        reason = "only a scanned number vouches for the literal"
    )]
    pub(crate) fn to_decimal(
        self,
        literal: &[u8],
        size: DecimalSize,
    ) -> Result<i128, ParseProblem> {
        let limit = 10_u128.checked_pow(u32::from(size.precision));
        match scaled(literal, i64::from(size.scale)) {
            Ok(value) if limit.is_some_and(|limit| value.unsigned_abs() < limit) => Ok(value),
            Ok(_) | Err(Inexact::Overflow) => Err(ParseProblem::range(format!(
                "must have at most {} digits before the point",
                i64::from(size.precision) - i64::from(size.scale)
            ))),
            Err(Inexact::Fraction) => Err(ParseProblem::range(format!(
                "must have at most {} digits after the point",
                size.scale
            ))),
        }
    }
}

#[cold]
fn integer_range() -> ParseProblem {
    ParseProblem::range("must fit a 64-bit signed integer")
}

struct Digits {
    mantissa: u64,
    is_exact: bool,
}

impl Digits {
    #[inline]
    fn scan(&mut self, bytes: &[u8], start: usize) -> usize {
        const ROOM_MAX: u64 = (u64::MAX - 9) / 10;
        let mut at = start;
        while let Some(byte) = bytes.get(at) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            if self.mantissa <= ROOM_MAX {
                self.mantissa = self.mantissa * 10 + u64::from(digit);
            } else {
                self.is_exact = false;
            }
            at += 1;
        }
        at
    }
}

fn scan_exponent(bytes: &[u8], start: usize) -> Result<(i32, usize), NoNumber> {
    let sign = bytes.get(start).copied();
    let digits = start + usize::from(matches!(sign, Some(b'+' | b'-')));
    let mut at = digits;
    let mut size = 0_i32;
    while let Some(digit @ b'0'..=b'9') = bytes.get(at).copied() {
        size = size
            .saturating_mul(10)
            .saturating_add(i32::from(digit - b'0'));
        at += 1;
    }
    if at == digits {
        return Err(NoNumber { at });
    }
    Ok((if sign == Some(b'-') { -size } else { size }, at))
}

enum Inexact {
    /// Digits that are not zero stand beyond the scale.
    Fraction,
    /// The number is beyond 128 bits.
    Overflow,
}

/// The literal times ten to the `scale`, exactly.
fn scaled(literal: &[u8], scale: i64) -> Result<i128, Inexact> {
    let (is_negative, unsigned) = match literal.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, literal),
    };
    let split = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = match split {
        Some(at) => {
            let (exponent, _) = scan_exponent(unsigned, at + 1).unwrap_or_default();
            (&unsigned[..at], i64::from(exponent))
        }
        None => (unsigned, 0),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.');
    let fraction = point.map_or(0, |at| mantissa.len() - at - 1);
    let count = mantissa.len() - usize::from(point.is_some());
    let digits = mantissa
        .iter()
        .filter(|byte| **byte != b'.')
        .map(|byte| byte - b'0');
    let shift = scale + exponent - i64::try_from(fraction).unwrap_or(i64::MAX);
    let dropped = usize::try_from(-shift).unwrap_or(0).min(count);
    let mut value = 0_i128;
    for (place, digit) in digits.enumerate() {
        if place < count - dropped {
            let grown = value
                .checked_mul(10)
                .and_then(|v| v.checked_add(i128::from(digit)));
            value = grown.ok_or(Inexact::Overflow)?;
        } else if digit != 0 {
            return Err(Inexact::Fraction);
        }
    }
    if value != 0 && shift > 0 {
        let power = u32::try_from(shift)
            .ok()
            .and_then(|shift| 10_i128.checked_pow(shift));
        value = power
            .and_then(|power| value.checked_mul(power))
            .ok_or(Inexact::Overflow)?;
    }
    Ok(if is_negative { -value } else { value })
}
