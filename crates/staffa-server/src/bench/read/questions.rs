//! Questions with conditions: filtered pages, counts and aggregates.

use bytes::Bytes;
use staffa_duckdb::reference::RawValue;

use super::loaded::{SCHEMA, TABLE};
use crate::bench::bed::{Bed, check_any};
use crate::bench::client::{get, with_body};
use crate::bench::data::{Row, mix};
use crate::bench::figure::{milliseconds, per_second};
use crate::bench::load::Requests;
use crate::bench::report::Outcome;
use crate::bench::tally::median;

/// How often each question is asked of the raw engine.
const RAW_TURNS: u64 = 30;

/// Requests that are made from a number, each another.
struct Asked<F>(u64, F);

impl<F: Fn(u64) -> Bytes> Requests for Asked<F> {
    fn next(&mut self, _number: u64) -> Bytes {
        self.0 += 1;
        (self.1)(self.0)
    }
}

/// Makes the operand of a turn.
type Operand<'a> = &'a dyn Fn(u64) -> String;

/// Pages of records that match a value, another one each time.
pub(super) fn filters(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let loaded = bed.loaded()?;
    let row = |turn: u64| Row::new(mix(turn) % loaded.rows);
    let questions: [(&str, &str, Operand<'_>); 3] = [
        ("indexed", "well_code", &|turn| {
            row(turn).well_code().to_string()
        }),
        ("plain, in order", "field_code", &|turn| {
            row(turn).field_code().to_string()
        }),
        ("plain, few", "_well_reference", &|turn| {
            row(turn).reference()
        }),
    ];
    for (name, property, value) in questions {
        let raw = match &loaded.raw {
            Some(raw) => {
                let statement =
                    format!("SELECT * FROM {TABLE} WHERE {property} = ? ORDER BY id LIMIT 50");
                let value = |turn| match value(turn).parse() {
                    Ok(number) => vec![RawValue::Integer(number)],
                    Err(_) => vec![RawValue::Text(value(turn))],
                };
                let mut times = raw.queries(&statement, RAW_TURNS, value)?;
                Some(per_second(1.0, median(&mut times)))
            }
            None => None,
        };
        for connections in bed.args().connections(&[1, 16, 64]) {
            let mut asked = Asked(0, |turn| {
                let value = value(turn).replace('/', "%2F");
                let path = format!("/api/v1/records/{SCHEMA}?size=50&count=none");
                get(&format!("{path}&filter[{property}]={value}"), "")
            });
            let (tally, usage) = bed.load(&loaded.server, connections, &mut asked)?;
            check_any("filters", &tally)?;
            let name = format!("filters/{name} {connections}");
            let outcome = Outcome::of_load(name, &tally, 1.0, "pages/s").costing(usage);
            bed.keep(outcome.against("raw engine, one at a time", raw));
        }
    }
    Ok(())
}

/// Counts with a condition, another one each time.
pub(super) fn counts(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let statement = format!("SELECT count(*) FROM {TABLE} WHERE oil_production_kbd > ?");
    let value = |turn| vec![RawValue::Number(bound(turn))];
    timed(bed, "count/filtered", &filtered_count, (&statement, &value))?;
    let loaded = bed.loaded()?;
    let mut all = Asked(0, |_| get(&format!("/api/v1/records/{SCHEMA}/count"), ""));
    let (tally, usage) = bed.load(&loaded.server, 16, &mut all)?;
    check_any("count", &tally)?;
    bed.keep(Outcome::of_load("count/all 16", &tally, 1.0, "counts/s").costing(usage));
    Ok(())
}

/// Groups with figures, with another condition each time.
pub(super) fn aggregates(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let figures = "count(*), avg(oil_production_kbd), sum(gas_production_mmcfd)";
    for group in ["partition_0", "days_on_production"] {
        let statement = format!(
            "SELECT {group}, {figures} FROM {TABLE} WHERE oil_production_kbd > ? GROUP BY {group}"
        );
        let value = |turn| vec![RawValue::Number(bound(turn))];
        timed(
            bed,
            &format!("aggregate/by {group}"),
            &|turn| aggregate(group, turn),
            (&statement, &value),
        )?;
    }
    Ok(())
}

/// A count with a condition, another one each turn.
pub(super) fn filtered_count(turn: u64) -> Bytes {
    let path = format!("/api/v1/records/{SCHEMA}/count");
    let condition = format!("filter[oil_production_kbd][gt]={}", bound(turn));
    get(&format!("{path}?{condition}"), "")
}

/// Figures of the groups of a property, with another condition each turn.
pub(super) fn aggregate(group: &str, turn: u64) -> Bytes {
    let body = format!(
        "{{\"group_by\":[\"{group}\"],\"metrics\":[{{\"op\":\"count\"}},\
         {{\"op\":\"avg\",\"field\":\"oil_production_kbd\"}},\
         {{\"op\":\"sum\",\"field\":\"gas_production_mmcfd\"}}],\"filters\":\
         [{{\"field\":\"oil_production_kbd\",\"operator\":\"gt\",\"value\":{}}}]}}",
        bound(turn)
    );
    let path = format!("/api/v1/records/{SCHEMA}/aggregate");
    with_body("POST", &path, "application/json", body.as_bytes())
}

/// A bound that a part of the records passes, another one each time.
fn bound(turn: u64) -> f64 {
    crate::bench::figure::float(mix(turn) % 1_000_000) / 1e6 * 4.0 + 18.0
}

/// A statement and its values for a turn.
type RawQuestion<'a> = (&'a str, &'a dyn Fn(u64) -> Vec<RawValue>);

/// Asks one question after another, of the server and of the raw engine.
fn timed(
    bed: &mut Bed<'_>,
    name: &str,
    question: &dyn Fn(u64) -> Bytes,
    (statement, value): RawQuestion<'_>,
) -> anyhow::Result<()> {
    let loaded = bed.loaded()?;
    let raw = match &loaded.raw {
        Some(raw) => Some(milliseconds(median(
            &mut raw.queries(statement, RAW_TURNS, value)?,
        ))),
        None => None,
    };
    let mut asked = Asked(0, question);
    let (tally, usage) = bed.turns(&loaded.server, RAW_TURNS, &mut asked)?;
    check_any(name, &tally)?;
    let middle = tally.latency().map_or(0.0, |latency| latency.p50);
    let mut outcome = Outcome::new(name, middle, "ms")
        .costing(usage)
        .against("raw engine", raw);
    outcome.latency_ms = tally.latency();
    outcome.statuses = tally.statuses();
    outcome.failed = tally.failed();
    bed.keep(match raw {
        Some(raw) => outcome.at_most(raw * 1.15 + 1.0),
        None => outcome,
    });
    Ok(())
}
