//! Where calendar periods start, in UTC and the proleptic Gregorian calendar.

use staffa_domain::query::DateUnit;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The start of the period that holds a moment, both in microseconds since 1970.
pub(super) fn period_start(micros: i64, unit: DateUnit) -> i64 {
    match unit {
        DateUnit::Minute => micros.div_euclid(MINUTE) * MINUTE,
        DateUnit::Hour => micros.div_euclid(HOUR) * HOUR,
        _ => day_start(micros.div_euclid(DAY), unit) * DAY,
    }
}

/// The first day of the period that holds a day, both as days since 1970.
pub(super) fn day_start(day: i64, unit: DateUnit) -> i64 {
    let (year, month) = year_and_month(day);
    match unit {
        DateUnit::Year => first_of(year, 1),
        DateUnit::Quarter => first_of(year, (month - 1) / 3 * 3 + 1),
        DateUnit::Month => first_of(year, month),
        // 1970-01-01 was a Thursday, three days after a Monday.
        DateUnit::Week => day - (day + 3).rem_euclid(7),
        DateUnit::Day | DateUnit::Hour | DateUnit::Minute => day,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The days since 1970 of the first of a month.
fn first_of(year: i64, month: i64) -> i64 {
    let before = year - 1;
    let leap_days = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
    let months = (1..month).map(|month| month_len(year, month)).sum::<i64>();
    // 719162 days lie between 0001-01-01 and 1970-01-01.
    before * 365 + leap_days + months - 719_162
}

fn month_len(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn year_and_month(day: i64) -> (i64, i64) {
    // A guess at most a year off, set right by looking.
    let mut year = 1970 + (day * 400).div_euclid(146_097);
    while first_of(year, 1) > day {
        year -= 1;
    }
    while first_of(year + 1, 1) <= day {
        year += 1;
    }
    let month = (2..=12)
        .take_while(|month| first_of(year, *month) <= day)
        .count();
    (year, 1 + i64::try_from(month).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{day_start, first_of, period_start};
    use staffa_domain::query::DateUnit;
    use staffa_domain::record::{DATE_MAX, DATE_MIN};

    #[test]
    fn the_first_days_of_known_months_are_right() {
        for (year, month, day) in [
            (1, 1, -719_162),
            (1970, 1, 0),
            (2000, 3, 11_017),
            (9999, 12, 2_932_866),
        ] {
            assert_eq!(first_of(year, month), day, "{year}-{month}");
        }
        assert_eq!(i64::from(DATE_MIN), first_of(1, 1));
        assert_eq!(i64::from(DATE_MAX), first_of(10_000, 1) - 1);
    }

    #[test]
    fn every_day_lies_in_the_month_that_starts_before_it() {
        for day in (i64::from(DATE_MIN)..i64::from(DATE_MAX)).step_by(13) {
            let start = day_start(day, DateUnit::Month);
            assert!(start <= day && day - start < 31, "{day}");
            assert_eq!(day_start(start, DateUnit::Month), start);
            assert_eq!((day_start(day, DateUnit::Week) + 3).rem_euclid(7), 0);
        }
        assert_eq!(period_start(-1, DateUnit::Hour), -3_600_000_000);
    }
}
