//! Numbers as measurements want them: as doubles, with units.

use std::time::Duration;

/// A count as a double. Counts of a benchmark stay far below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a benchmark stay far below 2^53"
)]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// The length of something as a double.
pub(crate) const fn float_len(len: usize) -> f64 {
    float(len as u64)
}

/// Milliseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// How many in a second; nothing in no time.
pub(crate) fn per_second(count: f64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { count / seconds } else { 0.0 }
}

/// A number with three digits that matter, and its thousands apart.
pub(crate) fn readable(number: f64) -> String {
    if !number.is_finite() {
        return "-".to_owned();
    }
    let size = number.abs();
    if size >= 1000.0 {
        let whole = format!("{number:.0}");
        let negative = whole.starts_with('-');
        let digits = whole.trim_start_matches('-').parse().unwrap_or(u64::MAX);
        let grouped = crate::output::grouped(digits);
        return if negative {
            format!("-{grouped}")
        } else {
            grouped
        };
    }
    let decimals = match size {
        _ if size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::{Duration, per_second, readable};

    #[test]
    fn numbers_are_readable() {
        let cases = [
            (0.0, "0.000"),
            (0.1234, "0.123"),
            (1.234, "1.23"),
            (12.34, "12.3"),
        ];
        for (number, text) in cases {
            assert_eq!(readable(number), text);
        }
        assert_eq!(readable(123.4), "123");
        assert_eq!(readable(1_234_567.8), "1,234,568");
        assert_eq!(readable(f64::NAN), "-");
    }

    #[test]
    fn no_time_gives_no_rate() {
        assert_eq!(readable(per_second(5.0, Duration::ZERO)), "0.000");
        assert_eq!(readable(per_second(5.0, Duration::from_secs(2))), "2.50");
    }
}
