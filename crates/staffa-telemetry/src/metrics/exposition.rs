//! Families of the Prometheus text format that are written as they are read, not kept.

use std::fmt::{self, Write as _};

/// Whether a figure may fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only rises while the process lives.
    Counter,
    /// It rises and falls.
    Gauge,
}

/// What a family is called and what it means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) help: &'a str,
}

impl Family<'_> {
    /// Writes the family with its only sample.
    pub(super) fn write(self, text: &mut String, value: impl fmt::Display) {
        self.write_head(text);
        infallible(writeln!(text, "{} {value}\n", self.name));
    }

    /// Writes the family with one sample for each value of a label.
    pub(super) fn write_by<V: fmt::Display>(
        self,
        text: &mut String,
        label: &str,
        samples: &[(&str, V)],
    ) {
        self.write_head(text);
        for (of, value) in samples {
            infallible(writeln!(text, "{}{{{label}=\"{of}\"}} {value}", self.name));
        }
        text.push('\n');
    }

    fn write_head(self, text: &mut String) {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        infallible(writeln!(text, "# HELP {} {}", self.name, self.help));
        infallible(writeln!(text, "# TYPE {} {kind}", self.name));
    }
}

fn infallible(written: fmt::Result) {
    written.expect("writing to a string cannot fail");
}
