//! All that the program says at a terminal: data on stdout, everything else on stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often progress is said where no terminal watches.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What progress is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Records,
}

/// Where text goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    terminal: bool,
}

impl Output {
    /// The process's own streams.
    pub(crate) fn new() -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
        }
    }

    /// Writes data.
    #[expect(clippy::unused_self, reason = "all output goes through this type")]
    pub(crate) fn data(self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Says something to the person at the terminal.
    #[expect(clippy::unused_self, reason = "all output goes through this type")]
    pub(crate) fn note(self, text: &str) {
        // When nobody can be told any more, that can't be told either.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Says what went wrong.
    pub(crate) fn error(self, text: &str) {
        self.note(&format!("error: {text}"));
    }

    /// Shows how far some work is, of `total` bytes where that is known.
    pub(crate) fn progress(self, label: &str, total: Option<u64>) -> Progress {
        self.progress_in(Unit::Bytes, label, total)
    }

    /// Shows how far some work is, of `total` records where that is known.
    pub(crate) fn progress_of_records(self, label: &str, total: Option<u64>) -> Progress {
        self.progress_in(Unit::Records, label, total)
    }

    fn progress_in(self, unit: Unit, label: &str, total: Option<u64>) -> Progress {
        if !self.terminal {
            let state = Lines {
                label: label.to_owned(),
                unit,
                total,
                done: 0,
                said: Instant::now(),
            };
            return Progress {
                output: self,
                view: View::Lines(Mutex::new(state)),
            };
        }
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let template = match (unit, total) {
            (Unit::Bytes, Some(_)) => "{msg:<24} [{bar:30}] {percent:>3}% {bytes_per_sec}",
            (Unit::Bytes, None) => "{msg:<24} {spinner} {bytes}",
            (Unit::Records, Some(_)) => "{msg:<24} [{bar:30}] {percent:>3}% {per_sec}",
            (Unit::Records, None) => "{msg:<24} {spinner} {human_pos}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(label.to_owned());
        Progress {
            output: self,
            view: View::Bar(bar),
        }
    }
}

/// How far some work is. Shared by reference; it vanishes when dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    output: Output,
    view: View,
}

#[derive(Debug)]
enum View {
    Bar(ProgressBar),
    Lines(Mutex<Lines>),
}

#[derive(Debug)]
struct Lines {
    label: String,
    unit: Unit,
    total: Option<u64>,
    done: u64,
    said: Instant,
}

impl Progress {
    /// Counts bytes or records that are done.
    pub(crate) fn add(&self, count: usize) {
        match &self.view {
            View::Bar(bar) => bar.inc(count as u64),
            View::Lines(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.done += count as u64;
                if lines.said.elapsed() >= LINE_EVERY {
                    lines.said = Instant::now();
                    self.output.note(&lines.text());
                }
            }
        }
    }

    /// Names what is being worked on.
    pub(crate) fn label(&self, label: &str) {
        match &self.view {
            View::Bar(bar) => bar.set_message(label.to_owned()),
            View::Lines(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                label.clone_into(&mut lines.label);
            }
        }
    }
}

impl Lines {
    fn text(&self) -> String {
        match self.total {
            Some(total) if total > 0 => {
                format!("{}: {} %", self.label, self.done.min(total) * 100 / total)
            }
            _ => match self.unit {
                Unit::Bytes => format!("{}: {} MB", self.label, self.done / 1_000_000),
                Unit::Records => format!("{}: {} records", self.label, grouped(self.done)),
            },
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
    }
}

/// Writes a number with its thousands apart, as `336,776`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Instant, Lines, Unit, grouped};

    #[test]
    fn thousands_are_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (336_776, "336,776"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn lines_say_how_far() {
        let mut lines = Lines {
            label: "a".to_owned(),
            unit: Unit::Bytes,
            total: Some(8),
            done: 2,
            said: Instant::now(),
        };
        assert_eq!(lines.text(), "a: 25 %");
        lines.total = None;
        lines.done = 3_500_000;
        assert_eq!(lines.text(), "a: 3 MB");
        lines.unit = Unit::Records;
        assert_eq!(lines.text(), "a: 3,500,000 records");
    }
}
