//! Plots as inline SVG: bars with ratios, and latency by percentile.

use std::fmt::Write as _;

use super::figure::{float_len, readable};
use super::report::Outcome;
use super::tally::Latency;

const WIDTH: f64 = 760.0;
const BAR: f64 = 16.0;
const LABEL: f64 = 270.0;
const COLORS: [&str; 6] = [
    "#1f6f8b", "#d1603d", "#5b8c5a", "#8e6c8a", "#c9a227", "#4f5d75",
];

/// Text that is safe inside markup.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The figure of an outcome and those of its references as bars; nothing without references.
pub(super) fn bars(outcome: &Outcome) -> String {
    if outcome.references.is_empty() {
        return String::new();
    }
    let mut bars = vec![("Staffa".to_owned(), outcome.value, String::new())];
    bars.extend(outcome.references.iter().map(|found| {
        (
            found.what.clone(),
            found.value,
            format!(" (Staffa {:.2} ×)", found.ratio),
        )
    }));
    let most = bars
        .iter()
        .map(|bar| bar.1)
        .fold(f64::MIN_POSITIVE, f64::max);
    let height = float_len(bars.len()) * (BAR + 6.0);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">");
    for (index, (label, value, ratio)) in bars.iter().enumerate() {
        let top = float_len(index) * (BAR + 6.0);
        let length = (value / most * (WIDTH - LABEL - 210.0)).max(1.0);
        let (color, text) = (COLORS[usize::from(index > 0)], top + BAR - 4.0);
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LABEL}\" y=\"{top}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{color}\"/>\
             <text x=\"{:.1}\" y=\"{text}\">{}{}</text>",
            LABEL - 8.0,
            escaped(label),
            LABEL + length + 6.0,
            readable(*value),
            escaped(ratio),
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Latency by percentile for some outcomes, both axes logarithmic; nothing where none has one.
pub(super) fn curves(outcomes: &[&Outcome]) -> String {
    let curves: Vec<(&str, &Latency)> = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.name.as_str(), outcome.latency_ms.as_ref()?)))
        .collect();
    if curves.is_empty() {
        return String::new();
    }
    let points = || {
        curves
            .iter()
            .flat_map(|(_, latency)| latency.curve.iter().map(|at| at.1))
    };
    let low = points().fold(f64::MAX, f64::min).max(1e-3);
    let axes = Axes {
        low,
        high: points().fold(low * 10.0, f64::max),
    };
    let height = Axes::HEIGHT + 30.0 + 16.0 * float_len(curves.len());
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">");
    axes.draw(&mut svg);
    for (index, (name, latency)) in curves.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let mut line = String::new();
        for (percentile, milliseconds) in &latency.curve {
            let _ = write!(
                line,
                "{:.1},{:.1} ",
                Axes::x(*percentile),
                axes.y(*milliseconds)
            );
        }
        let y = Axes::HEIGHT + 36.0 + 16.0 * float_len(index);
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>\
             <rect x=\"60\" y=\"{:.0}\" width=\"12\" height=\"3\" fill=\"{color}\"/>\
             <text x=\"78\" y=\"{y:.0}\">{}</text>",
            line.trim_end(),
            y - 5.0,
            escaped(name)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Where percentiles and milliseconds lie.
struct Axes {
    low: f64,
    high: f64,
}

impl Axes {
    const HEIGHT: f64 = 240.0;
    const LEFT: f64 = 60.0;

    /// Every further nine takes the same room: 90, 99, 99.9.
    fn x(percentile: f64) -> f64 {
        let rest = (1.0 - percentile / 100.0).max(1e-5);
        Self::LEFT + -rest.log10() / 5.0 * (WIDTH - Self::LEFT - 20.0)
    }

    fn y(&self, milliseconds: f64) -> f64 {
        let place =
            (milliseconds.max(self.low) / self.low).log10() / (self.high / self.low).log10();
        10.0 + (1.0 - place) * (Self::HEIGHT - 20.0)
    }

    fn draw(&self, svg: &mut String) {
        let mut tick = 10f64.powf(self.low.log10().floor());
        while tick <= self.high {
            if tick >= self.low {
                let y = self.y(tick);
                let _ = write!(
                    svg,
                    "<line x1=\"{}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" class=\"grid\"/>\
                     <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick} ms</text>",
                    Self::LEFT,
                    WIDTH - 20.0,
                    Self::LEFT - 6.0,
                    y + 4.0
                );
            }
            tick *= 10.0;
        }
        for (percentile, label) in [
            (50.0, "p50"),
            (90.0, "p90"),
            (99.0, "p99"),
            (99.9, "p99.9"),
            (99.99, "p99.99"),
        ] {
            let x = Self::x(percentile);
            let _ = write!(
                svg,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"10\" y2=\"{}\" class=\"grid\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                Self::HEIGHT - 10.0,
                Self::HEIGHT + 6.0
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Axes, WIDTH, bars, curves};
    use crate::bench::report::Outcome;
    use crate::bench::report::tests::sample;

    #[test]
    fn percentiles_lie_in_order() {
        let places = [0.0, 50.0, 90.0, 99.0, 99.9, 100.0].map(Axes::x);
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
        assert!((places[3] - places[2] - (places[4] - places[3])).abs() < 1e-6);
        assert!(places[5] <= WIDTH - 19.0);
        let axes = Axes {
            low: 0.1,
            high: 100.0,
        };
        assert!(axes.y(0.1) > axes.y(1.0) && axes.y(1.0) > axes.y(100.0));
    }

    #[test]
    fn plots_hold_what_there_is() {
        let report = sample();
        let outcomes: Vec<&Outcome> = report.outcomes.iter().collect();
        let svg = curves(&outcomes);
        assert_eq!(svg.matches("<polyline").count(), 1);
        assert!(svg.contains("create &lt;64&gt;") && !svg.contains("NaN"));
        assert!(bars(outcomes[0]).contains("Staffa 2.00 ×"));
        let bare = Outcome::new("bare", 1.0, "ms");
        assert!(bars(&bare).is_empty() && curves(&[&bare]).is_empty());
    }
}
