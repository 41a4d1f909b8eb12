//! What a load came to: how many answers of which status, and how long they took.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::figure::{float, per_second};

/// The status under which requests without a whole answer are counted.
pub(crate) const BROKEN: u16 = 0;

/// The percentiles of the plotted curve.
const CURVE: [f64; 16] = [
    0.0, 10.0, 25.0, 50.0, 60.0, 70.0, 75.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.99, 100.0,
];

/// Counts while a load runs.
#[derive(Debug)]
pub(crate) struct Tally {
    times: Histogram<u64>,
    refusals: Histogram<u64>,
    statuses: BTreeMap<u16, u64>,
    bytes_sent: u64,
    bytes_received: u64,
    elapsed: Duration,
}

/// How long answers took, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Latency {
    /// The middle.
    pub(crate) p50: f64,
    /// Nine of ten were quicker.
    pub(crate) p90: f64,
    /// 99 of a hundred were.
    pub(crate) p99: f64,
    /// 999 of a thousand were.
    pub(crate) p999: f64,
    /// The slowest.
    pub(crate) max: f64,
    /// The average.
    pub(crate) mean: f64,
    /// Points of percentile and milliseconds.
    pub(crate) curve: Vec<(f64, f64)>,
}

impl Tally {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let times = || Histogram::new(3).expect("three digits are a precision the histogram has");
        Self {
            times: times(),
            refusals: times(),
            statuses: BTreeMap::new(),
            bytes_sent: 0,
            bytes_received: 0,
            elapsed: Duration::ZERO,
        }
    }

    /// Counts an answer.
    pub(crate) fn add(&mut self, status: u16, took: Duration) {
        record(&mut self.times, took);
        *self.statuses.entry(status).or_default() += 1;
    }

    /// Counts how long a refusal took from when its request was sent, whenever that was due.
    pub(crate) fn add_refusal(&mut self, took: Duration) {
        record(&mut self.refusals, took);
    }

    /// Counts bytes over the wire.
    pub(crate) const fn add_bytes(&mut self, sent: u64, received: u64) {
        self.bytes_sent += sent;
        self.bytes_received += received;
    }

    /// Says how long it all took.
    pub(crate) const fn finish(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
    }

    /// Answers that say it was done.
    pub(crate) fn done(&self) -> u64 {
        self.statuses.range(200..400).map(|(_, count)| count).sum()
    }

    /// Everything else: refusals, failures and connections that broke.
    pub(crate) fn failed(&self) -> u64 {
        self.statuses.values().sum::<u64>() - self.done()
    }

    /// Done in a second.
    pub(crate) fn rate(&self) -> f64 {
        per_second(float(self.done()), self.elapsed)
    }

    /// Body bytes in a second, both ways.
    pub(crate) fn bytes_rate(&self) -> f64 {
        per_second(float(self.bytes_sent + self.bytes_received), self.elapsed)
    }

    /// Counts by status, those without an answer as `broken`.
    pub(crate) fn statuses(&self) -> BTreeMap<String, u64> {
        let name = |status| match status {
            BROKEN => "broken".to_owned(),
            status => status.to_string(),
        };
        self.statuses
            .iter()
            .map(|(status, count)| (name(*status), *count))
            .collect()
    }

    /// How long answers took; nothing where there was none.
    pub(crate) fn latency(&self) -> Option<Latency> {
        Latency::of(&self.times)
    }

    /// How long refusals took; nothing where there was none.
    pub(crate) fn refusals(&self) -> Option<Latency> {
        Latency::of(&self.refusals)
    }
}

impl Latency {
    fn of(times: &Histogram<u64>) -> Option<Self> {
        if times.is_empty() {
            return None;
        }
        let at = |percentile: f64| float(times.value_at_percentile(percentile)) / 1e3;
        Some(Self {
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            max: float(times.max()) / 1e3,
            mean: times.mean() / 1e3,
            curve: CURVE
                .iter()
                .map(|percentile| (*percentile, at(*percentile)))
                .collect(),
        })
    }
}

fn record(times: &mut Histogram<u64>, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    // It grows as it must, so that no value is too large for it.
    let recorded = times.record(micros.max(1));
    debug_assert!(recorded.is_ok(), "the histogram grows");
}

/// The middle of some times.
pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{BROKEN, Duration, Tally, median};

    #[test]
    fn percentiles_are_those_of_the_times() {
        let mut tally = Tally::new();
        for micros in 1..=10_000 {
            tally.add(201, Duration::from_micros(micros));
        }
        let latency = tally.latency().unwrap();
        for (found, expected) in [
            (latency.p50, 5.0),
            (latency.p90, 9.0),
            (latency.p99, 9.9),
            (latency.p999, 9.99),
            (latency.max, 10.0),
            (latency.mean, 5.0),
        ] {
            assert!((found - expected).abs() < 0.02, "{found} is not {expected}");
        }
        assert!(latency.curve.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        assert!(Tally::new().latency().is_none());
    }

    #[test]
    fn failures_are_no_part_of_the_rate() {
        let mut tally = Tally::new();
        for status in [200, 201, 304, 409, 503, BROKEN] {
            tally.add(status, Duration::from_secs(100));
        }
        tally.add_refusal(Duration::from_millis(4));
        tally.add_bytes(3_000, 1_000);
        tally.finish(Duration::from_secs(2));
        assert_eq!((tally.done(), tally.failed()), (3, 3));
        assert!((tally.rate() - 1.5).abs() < 1e-9);
        assert!((tally.bytes_rate() - 2_000.0).abs() < 1e-9);
        assert_eq!(tally.statuses()["broken"], 1);
        assert!(tally.latency().unwrap().max > 99_000.0);
        let refused = tally.refusals().unwrap().max;
        assert!((refused - 4.0).abs() < 0.02, "{refused}");
    }

    #[test]
    fn the_middle_is_in_the_middle() {
        let mut times = [5, 1, 3].map(Duration::from_secs);
        assert_eq!(median(&mut times), Duration::from_secs(3));
        assert_eq!(median(&mut []), Duration::ZERO);
    }
}
