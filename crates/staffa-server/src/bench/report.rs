//! What was measured, beside what it was measured against: as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::figure::readable;
use super::tally::{Latency, Tally};

/// What a measurement cost.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Usage {
    /// How long it took.
    pub(crate) seconds: f64,
    /// Seconds of computing of the server, where it is a child.
    pub(crate) server_cpu_seconds: Option<f64>,
    /// Seconds of computing of the generator.
    pub(crate) generator_cpu_seconds: Option<f64>,
    /// The server's memory before, in MB.
    pub(crate) memory_idle_mb: Option<f64>,
    /// How far it rose above that, in MB.
    pub(crate) memory_rise_mb: Option<f64>,
}

/// A figure of something else, measured in the same run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Reference {
    /// What was measured.
    pub(crate) what: String,
    /// Its figure, in the outcome's unit.
    pub(crate) value: f64,
    /// The outcome's figure as a multiple of it.
    pub(crate) ratio: f64,
}

/// What the outcome should be.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Goal {
    /// In words.
    pub(crate) text: String,
    /// Whether it is so.
    pub(crate) met: bool,
}

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    /// Its name: the scenario, then what distinguishes it.
    pub(crate) name: String,
    /// Its figure.
    pub(crate) value: f64,
    /// In which unit.
    pub(crate) unit: String,
    /// Bytes of bodies in a second.
    pub(crate) bytes_per_second: Option<f64>,
    /// How long answers took.
    pub(crate) latency_ms: Option<Latency>,
    /// How many answers of each status.
    pub(crate) statuses: BTreeMap<String, u64>,
    /// How many requests came to nothing.
    pub(crate) failed: u64,
    /// What it cost.
    pub(crate) usage: Option<Usage>,
    /// What it is compared with.
    pub(crate) references: Vec<Reference>,
    /// What it should be.
    pub(crate) goals: Vec<Goal>,
}

impl Outcome {
    /// A figure and nothing else.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value,
            unit: unit.into(),
            bytes_per_second: None,
            latency_ms: None,
            statuses: BTreeMap::new(),
            failed: 0,
            usage: None,
            references: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// The rate of a load, of `records` a request.
    pub(crate) fn of_load(
        name: impl Into<String>,
        tally: &Tally,
        records: f64,
        unit: &str,
    ) -> Self {
        let mut outcome = Self::new(name, tally.rate() * records, unit);
        outcome.bytes_per_second = Some(tally.bytes_rate());
        outcome.latency_ms = tally.latency();
        outcome.statuses = tally.statuses();
        outcome.failed = tally.failed();
        outcome
    }

    /// Adds what it cost.
    pub(crate) fn costing(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Adds bytes over the wire.
    pub(crate) fn moving(mut self, bytes: u64, time: Duration) -> Self {
        let bytes = super::figure::float(bytes);
        self.bytes_per_second = Some(super::figure::per_second(bytes, time));
        self
    }

    /// Compares it with a figure of something else, where there is one.
    pub(crate) fn against(mut self, what: impl Into<String>, value: Option<f64>) -> Self {
        if let Some(value) = value.filter(|value| *value > 0.0) {
            let ratio = self.value / value;
            self.references.push(Reference {
                what: what.into(),
                value,
                ratio,
            });
        }
        self
    }

    /// Asks for at least so many times the figure that it was compared with last.
    pub(crate) fn at_least_times(mut self, factor: f64) -> Self {
        if let Some(reference) = self.references.last() {
            let text = format!("at least {factor} × {}", reference.what);
            self.goals.push(Goal {
                text,
                met: reference.ratio >= factor,
            });
        }
        self
    }

    /// Asks for at most so many times the figure that it was compared with last.
    pub(crate) fn at_most_times(mut self, factor: f64) -> Self {
        if let Some(reference) = self.references.last() {
            let text = format!("at most {factor} × {}", reference.what);
            self.goals.push(Goal {
                text,
                met: reference.ratio <= factor,
            });
        }
        self
    }

    /// Asks for at least this figure.
    pub(crate) fn at_least(mut self, value: f64) -> Self {
        let text = format!("at least {} {}", readable(value), self.unit);
        self.goals.push(Goal {
            text,
            met: self.value >= value,
        });
        self
    }

    /// Asks for at most this figure.
    pub(crate) fn at_most(mut self, value: f64) -> Self {
        let text = format!("at most {} {}", readable(value), self.unit);
        self.goals.push(Goal {
            text,
            met: self.value <= value,
        });
        self
    }

    /// Asks that 99 of 100 answers take at most this long.
    pub(crate) fn p99_at_most(mut self, milliseconds: f64) -> Self {
        if let Some(latency) = &self.latency_ms {
            let text = format!("p99 at most {milliseconds} ms");
            self.goals.push(Goal {
                text,
                met: latency.p99 <= milliseconds,
            });
        }
        self
    }

    /// Asks that the slowest answer takes at most this long.
    pub(crate) fn slowest_at_most(mut self, milliseconds: f64) -> Self {
        if let Some(latency) = &self.latency_ms {
            let text = format!("slowest at most {milliseconds} ms");
            self.goals.push(Goal {
                text,
                met: latency.max <= milliseconds,
            });
        }
        self
    }

    /// Asks that memory rises by at most so many MB.
    pub(crate) fn memory_at_most(mut self, megabytes: f64) -> Self {
        let rise = self.usage.as_ref().and_then(|usage| usage.memory_rise_mb);
        if let Some(rise) = rise {
            let text = format!("memory at most {} MB above idle", readable(megabytes));
            self.goals.push(Goal {
                text,
                met: rise <= megabytes,
            });
        }
        self
    }
}

/// Everything of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Which version was measured.
    pub(crate) version: String,
    /// On which storage.
    pub(crate) storage: String,
    /// On how many cores.
    pub(crate) cores: usize,
    /// With how many rows.
    pub(crate) rows: u64,
    /// What came of it.
    pub(crate) outcomes: Vec<Outcome>,
}

const HEADINGS: [&str; 10] = [
    "scenario", "figure", "unit", "p50 ms", "p99 ms", "max ms", "failed", "cpu s", "MB", "against",
];

impl Report {
    /// The table of all outcomes, a line for each reference.
    pub(crate) fn table(&self) -> String {
        let mut rows: Vec<[String; 10]> = vec![HEADINGS.map(str::to_owned)];
        for outcome in &self.outcomes {
            rows.extend(lines(outcome));
        }
        let widths: [usize; 10] = std::array::from_fn(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        });
        let mut text = String::new();
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                let pad = " ".repeat(width - cell.chars().count());
                // Words stand at the left, figures at the right.
                let words = matches!(column, 0 | 2 | 9);
                let (before, after) = if words {
                    ("", pad.as_str())
                } else {
                    (pad.as_str(), "")
                };
                let _ = write!(line, "{before}{cell}{after}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn lines(outcome: &Outcome) -> Vec<[String; 10]> {
    let latency = |pick: fn(&Latency) -> f64| {
        outcome
            .latency_ms
            .as_ref()
            .map_or_else(String::new, |latency| readable(pick(latency)))
    };
    let usage = |pick: fn(&Usage) -> Option<f64>| {
        outcome
            .usage
            .as_ref()
            .and_then(pick)
            .map_or_else(String::new, readable)
    };
    let failed = if outcome.failed == 0 {
        String::new()
    } else {
        outcome.failed.to_string()
    };
    let mut beside: Vec<String> = outcome
        .references
        .iter()
        .map(|found| {
            format!(
                "{:.2} × {} ({})",
                found.ratio,
                found.what,
                readable(found.value)
            )
        })
        .collect();
    beside.extend(outcome.goals.iter().map(|goal| {
        let mark = if goal.met { "met" } else { "MISSED" };
        format!("{mark}: {}", goal.text)
    }));
    let first = [
        outcome.name.clone(),
        readable(outcome.value),
        outcome.unit.clone(),
        latency(|latency| latency.p50),
        latency(|latency| latency.p99),
        latency(|latency| latency.max),
        failed,
        usage(|usage| usage.server_cpu_seconds),
        usage(|usage| usage.memory_rise_mb),
        beside.first().cloned().unwrap_or_default(),
    ];
    let rest = beside.into_iter().skip(1).map(|text| {
        let mut row: [String; 10] = Default::default();
        row[9] = text;
        row
    });
    std::iter::once(first).chain(rest).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Duration, Outcome, Report, Tally, Usage};

    pub(in crate::bench) fn sample() -> Report {
        let mut tally = Tally::new();
        (1..=1000).for_each(|micros| tally.add(201, Duration::from_micros(micros)));
        tally.add(503, Duration::from_millis(1));
        tally.finish(Duration::from_secs(1));
        let create = Outcome::of_load("create <64>", &tally, 1.0, "records/s")
            .costing(Usage {
                memory_rise_mb: Some(12.0),
                ..Usage::default()
            })
            .against("raw", Some(500.0))
            .at_least_times(1.5)
            .against("missing", None)
            .at_least(2_000.0)
            .p99_at_most(25.0)
            .slowest_at_most(0.5)
            .memory_at_most(10.0);
        let first = Outcome::new("first page", 3.0, "ms")
            .against("raw", Some(2.0))
            .at_most_times(1.2);
        Report {
            version: "0.1.0".to_owned(),
            storage: "duckdb".to_owned(),
            cores: 2,
            rows: 1_000,
            outcomes: vec![create, first.at_most(5.0)],
        }
    }

    #[test]
    fn goals_are_judged() {
        let report = sample();
        let met: Vec<bool> = report.outcomes[0]
            .goals
            .iter()
            .map(|goal| goal.met)
            .collect();
        assert_eq!(met, [true, false, true, false, false]);
        let met: Vec<bool> = report.outcomes[1]
            .goals
            .iter()
            .map(|goal| goal.met)
            .collect();
        assert_eq!(met, [false, true]);
        assert_eq!(report.outcomes[0].failed, 1);
        assert_eq!(report.outcomes[0].references.len(), 1);
    }

    #[test]
    fn the_table_has_a_line_for_each_comparison() {
        let table = sample().table();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("scenario"));
        assert!(lines[1].contains("1,000") && lines[1].contains("2.00 × raw (500)"));
        assert!(lines[2].trim_start().starts_with("met: at least 1.5 × raw"));
        assert!(table.contains("MISSED: at least 2,000 records/s"));
        assert_eq!(lines.len(), 1 + 6 + 3);
    }
}
