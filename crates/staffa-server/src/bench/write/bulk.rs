//! Bulks that fit into one request, through the envelope and as lines.

use bytes::Bytes;

use crate::bench::bed::{Bed, check_any};
use crate::bench::client::with_body;
use crate::bench::data::{PLAIN, Row};
use crate::bench::figure::{float, per_second};
use crate::bench::load::Pool;
use crate::bench::report::Outcome;

/// How many bulks of each size are sent.
const SIZES: [(u64, u64); 4] = [(1, 500), (100, 300), (10_000, 30), (100_001, 7)];

pub(super) fn run(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    for (size, turns) in SIZES {
        let turns = if bed.args().quick {
            turns.div_ceil(10).max(3)
        } else {
            turns
        };
        let raw = raw_rate(bed, size, turns)?;
        for (way, request) in [("envelope", envelope(size)), ("ndjson", lines(size))] {
            let server = bed.server()?;
            let mut pool = Pool(vec![request]);
            // The first ones pay for what all later ones find done.
            bed.turns(&server, 2, &mut pool)?;
            let (tally, usage) = bed.turns(&server, turns, &mut pool)?;
            check_any("bulk", &tally)?;
            let name = format!("bulk/{size} {way}");
            let outcome = Outcome::of_load(&name, &tally, float(size), "records/s")
                .costing(usage)
                .against("raw append of ready batches, with key", raw);
            let middle = outcome.latency_ms.as_ref().map(|latency| latency.p50);
            bed.keep(outcome);
            if let (100_001, "envelope", Some(middle)) = (size, way, middle) {
                bed.keep(Outcome::new(format!("{name} time"), middle / 1e3, "s").at_most(0.8));
            }
        }
    }
    Ok(())
}

fn envelope(size: u64) -> Bytes {
    let mut body = format!("{{\"schema_name\":\"{PLAIN}\",\"data\":[").into_bytes();
    for index in 0..size {
        if index > 0 {
            body.push(b',');
        }
        Row::new(index).write_json(&mut body);
    }
    body.extend_from_slice(b"]}");
    with_body(
        "POST",
        "/api/v1/records/bulk?return=none",
        "application/json",
        &body,
    )
}

fn lines(size: u64) -> Bytes {
    let mut body = Vec::new();
    for index in 0..size {
        Row::new(index).write_json(&mut body);
        body.push(b'\n');
    }
    with_body(
        "POST",
        &format!("/api/v1/records/{PLAIN}/bulk"),
        "application/x-ndjson",
        &body,
    )
}

fn raw_rate(bed: &Bed<'_>, size: u64, turns: u64) -> anyhow::Result<Option<f64>> {
    let Some(raw) = bed.raw()? else {
        return Ok(None);
    };
    raw.table("bulk", true, 0)?;
    let file = bed.ndjson(100_001)?;
    let mut total = std::time::Duration::ZERO;
    for _ in 0..turns {
        // Batches bring their ids along, so each turn needs its own.
        let batches = raw.batches(&file, size)?;
        total += raw.append("bulk", &batches)?;
    }
    Ok(Some(per_second(float(size * turns), total)))
}
