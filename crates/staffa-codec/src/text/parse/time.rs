//! Dates and moments, digit by digit.

use staffa_domain::record::Timestamp;

use super::ParseProblem;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

#[inline]
fn two(bytes: &[u8], at: usize) -> Option<i64> {
    let tens = bytes.get(at)?.wrapping_sub(b'0');
    let ones = bytes.get(at + 1)?.wrapping_sub(b'0');
    (tens <= 9 && ones <= 9).then(|| i64::from(tens) * 10 + i64::from(ones))
}

/// Days since 1970-01-01 (the algorithm of Howard Hinnant's `days_from_civil`).
#[inline]
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[inline]
fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

enum Flaw {
    Form,
    Range,
}

#[inline]
fn date_days(bytes: &[u8]) -> Result<i64, Flaw> {
    let read = || -> Option<(i64, i64, i64)> {
        let year = two(bytes, 0)? * 100 + two(bytes, 2)?;
        let dashes = *bytes.get(4)? == b'-' && *bytes.get(7)? == b'-';
        let (month, day) = (two(bytes, 5)?, two(bytes, 8)?);
        dashes.then_some((year, month, day))
    };
    let (year, month, day) = read().ok_or(Flaw::Form)?;
    let valid =
        year >= 1 && (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    if valid {
        Ok(days_from_civil(year, month, day))
    } else {
        Err(Flaw::Range)
    }
}

#[inline]
pub(super) fn parse_date(text: &[u8]) -> Result<i32, ParseProblem> {
    let days = if text.len() == 10 {
        date_days(text)
    } else {
        Err(Flaw::Form)
    };
    match days {
        Ok(days) => {
            i32::try_from(days).map_err(|_| ParseProblem::range("must be a date of the calendar"))
        }
        Err(Flaw::Range) => Err(ParseProblem::range(
            "must be a date of the calendar, 0001-01-01 to 9999-12-31",
        )),
        Err(Flaw::Form) => Err(ParseProblem::mismatch("must be a date such as 2013-01-31")),
    }
}

#[inline]
pub(super) fn parse_datetime(text: &[u8]) -> Result<Timestamp, ParseProblem> {
    match moment(text) {
        Ok(moment) => Ok(moment),
        Err(Flaw::Range) => Err(ParseProblem::range(
            "must be a moment of the calendar, years 0001 to 9999 in UTC",
        )),
        Err(Flaw::Form) => Err(ParseProblem::mismatch(
            "must be a moment such as 2013-01-31T10:00:00Z",
        )),
    }
}

#[inline]
fn moment(text: &[u8]) -> Result<Timestamp, Flaw> {
    let read = || -> Option<(i64, i64, i64)> {
        let marks = matches!(text.get(10)?, b'T' | b't' | b' ')
            && *text.get(13)? == b':'
            && *text.get(16)? == b':';
        let parts = (two(text, 11)?, two(text, 14)?, two(text, 17)?);
        marks.then_some(parts)
    };
    let (hour, minute, second) = read().ok_or(Flaw::Form)?;
    let (fraction, rest) = fraction_micros(&text[19..])?;
    let offset = offset_seconds(rest)?;
    let days = date_days(text)?;
    if hour > 23 || minute > 59 || second > 60 {
        return Err(Flaw::Range);
    }
    let seconds = days * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second - offset;
    // A leap second is the last of a day in UTC. No clock of ours has it: like most, it is
    // read as the second that follows.
    if second == 60 && seconds % SECONDS_PER_DAY != 0 {
        return Err(Flaw::Range);
    }
    let moment = Timestamp::from_micros(seconds * MICROS_PER_SECOND + fraction);
    if moment < Timestamp::MIN || moment > Timestamp::MAX {
        return Err(Flaw::Range);
    }
    Ok(moment)
}

/// The microseconds of a fraction such as `.123`, and what follows it.
#[inline]
fn fraction_micros(text: &[u8]) -> Result<(i64, &[u8]), Flaw> {
    let Some((b'.', digits)) = text.split_first() else {
        return Ok((0, text));
    };
    let mut micros = 0;
    let mut place = 100_000;
    let mut count = 0;
    while let Some(digit @ b'0'..=b'9') = digits.get(count) {
        // Whole microseconds are kept; what is finer is dropped.
        micros += i64::from(digit - b'0') * place;
        place /= 10;
        count += 1;
    }
    if count == 0 {
        Err(Flaw::Form)
    } else {
        Ok((micros, &digits[count..]))
    }
}

#[inline]
fn offset_seconds(text: &[u8]) -> Result<i64, Flaw> {
    match text {
        [] | [b'Z' | b'z'] => Ok(0),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let hours = two(text, 1).ok_or(Flaw::Form)?;
            let minutes = two(text, 4).ok_or(Flaw::Form)?;
            if hours > 23 || minutes > 59 {
                return Err(Flaw::Range);
            }
            let seconds = hours * 3_600 + minutes * 60;
            Ok(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => Err(Flaw::Form),
    }
}
