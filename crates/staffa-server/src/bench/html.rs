//! The report as one page that needs nothing else.

use std::fmt::Write as _;

use super::figure::readable;
use super::plot::{bars, curves, escaped};
use super::report::{Outcome, Report};

const STYLE: &str = "
body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #ddd}
h3{font-size:1rem;margin:1.2rem 0 .3rem}table{border-collapse:collapse;width:100%;font-size:13px}
td,th{padding:.2rem .5rem;border-bottom:1px solid #eee;text-align:right}
td:first-child,th:first-child,td:last-child,th:last-child{text-align:left}
svg{width:100%;font:12px system-ui,sans-serif}.grid{stroke:#ddd}.met{color:#3a7d44}.missed{color:#b3261e}
";

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <title>Staffa benchmark</title><style>{STYLE}</style>\
         <h1>Staffa {} on {}</h1><p>{} cores, shared by the server and the load generator; {} \
         rows in the large scenarios. References were measured in the same run on the same \
         machine. A ratio is Staffa's figure as a multiple of the reference's.</p>",
        escaped(&report.version),
        escaped(&report.storage),
        report.cores,
        readable(super::figure::float(report.rows)),
    );
    for group in groups(&report.outcomes) {
        section(&mut page, &group);
    }
    page.push_str("</html>\n");
    page
}

/// Outcomes of the same scenario together, in order.
fn groups(outcomes: &[Outcome]) -> Vec<Vec<&Outcome>> {
    let mut groups: Vec<Vec<&Outcome>> = Vec::new();
    for outcome in outcomes {
        match groups.last_mut() {
            Some(group) if scenario(group[0]) == scenario(outcome) => group.push(outcome),
            _ => groups.push(vec![outcome]),
        }
    }
    groups
}

fn scenario(outcome: &Outcome) -> &str {
    outcome.name.split('/').next().unwrap_or(&outcome.name)
}

fn section(page: &mut String, group: &[&Outcome]) {
    let _ = write!(
        page,
        "<h2>{}</h2><table><tr><th>measured<th>figure<th>unit<th>p50 ms<th>p90 ms<th>p99 ms\
         <th>p99.9 ms<th>max ms<th>MB/s<th>failed<th>server cpu s<th>generator cpu s\
         <th>memory rise MB<th>goals</tr>",
        escaped(scenario(group[0]))
    );
    for outcome in group {
        row(page, outcome);
    }
    page.push_str("</table>");
    page.push_str(&curves(group));
    for outcome in group {
        let plot = bars(outcome);
        if !plot.is_empty() {
            let (name, unit) = (escaped(&outcome.name), escaped(&outcome.unit));
            let _ = write!(page, "<h3>{name}, {unit}</h3>{plot}");
        }
    }
}

fn row(page: &mut String, outcome: &Outcome) {
    let number = |value: Option<f64>| value.map_or_else(String::new, readable);
    let latency = outcome.latency_ms.as_ref();
    let usage = outcome.usage.as_ref();
    let cells = [
        readable(outcome.value),
        escaped(&outcome.unit),
        number(latency.map(|latency| latency.p50)),
        number(latency.map(|latency| latency.p90)),
        number(latency.map(|latency| latency.p99)),
        number(latency.map(|latency| latency.p999)),
        number(latency.map(|latency| latency.max)),
        number(outcome.bytes_per_second.map(|bytes| bytes / 1e6)),
        if outcome.failed == 0 {
            String::new()
        } else {
            outcome.failed.to_string()
        },
        number(usage.and_then(|usage| usage.server_cpu_seconds)),
        number(usage.and_then(|usage| usage.generator_cpu_seconds)),
        number(usage.and_then(|usage| usage.memory_rise_mb)),
    ];
    let _ = write!(page, "<tr><td>{}", escaped(&outcome.name));
    for cell in cells {
        let _ = write!(page, "<td>{cell}");
    }
    page.push_str("<td>");
    for goal in &outcome.goals {
        let (class, mark) = if goal.met {
            ("met", "✓")
        } else {
            ("missed", "✗")
        };
        let _ = write!(
            page,
            "<div class=\"{class}\">{mark} {}</div>",
            escaped(&goal.text)
        );
    }
    page.push_str("</tr>");
}

#[cfg(test)]
mod tests {
    use super::{groups, page};
    use crate::bench::report::Outcome;
    use crate::bench::report::tests::sample;

    #[test]
    fn the_page_holds_every_outcome_and_nothing_from_elsewhere() {
        let page = page(&sample());
        assert!(
            page.contains("<h2>create &lt;64&gt;</h2>") && page.contains("<h2>first page</h2>")
        );
        assert!(page.contains("✗ at least 2,000 records/s"));
        assert!(page.contains("<svg") && !page.contains("http"));
        assert_eq!(page.matches("<tr>").count(), page.matches("</tr>").count());
    }

    #[test]
    fn a_scenario_is_one_section() {
        let named = |name: &str| Outcome::new(name, 1.0, "ms");
        let outcomes = ["a/1", "a/2", "b/1"].map(named);
        let sizes: Vec<usize> = groups(&outcomes).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1]);
    }
}
