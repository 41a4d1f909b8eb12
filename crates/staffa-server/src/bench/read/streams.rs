//! Streams of all records in every format, and of a few.

use anyhow::ensure;
use bytes::Bytes;

use super::loaded::{SCHEMA, TABLE};
use crate::bench::bed::{Bed, Watch, check_any};
use crate::bench::client::{download, first_byte, get};
use crate::bench::figure::{float, milliseconds, per_second};
use crate::bench::load::Pool;
use crate::bench::raw::RawFormat;
use crate::bench::report::Outcome;
use crate::bench::tally::median;

/// A format, what the raw engine's writer for it is, and what is asked of Staffa beside it.
const FORMATS: [(&str, Option<RawFormat>, f64); 4] = [
    ("ndjson", Some(RawFormat::NdJson), 1.2),
    ("csv", Some(RawFormat::Csv), 0.8),
    ("arrow", None, 0.0),
    ("parquet", Some(RawFormat::Parquet), 0.7),
];

/// How many streams are opened for their first byte.
const OPENINGS: usize = 15;

pub(super) fn run(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let loaded = bed.loaded()?;
    for (format, raw_format, goal) in FORMATS {
        let watch = Watch::start(&loaded.server);
        let transfer = download(loaded.server.address(), &stream(format, None), &mut |_| ())?;
        if transfer.answer.status != 200 {
            bed.say(&format!(
                "  streams/{format}: the server said {}",
                transfer.answer.status
            ));
            continue;
        }
        let usage = watch.finish();
        // Not ahead of the stream: the disk is busy with its file for a while.
        let raw = match (&loaded.raw, raw_format) {
            (Some(raw), Some(format)) => {
                Some(per_second(float(loaded.rows), raw.copy_out(TABLE, format)?))
            }
            _ => None,
        };
        let rate = per_second(float(loaded.rows), transfer.total);
        let mut outcome = Outcome::new(format!("streams/{format}, all"), rate, "rows/s")
            .costing(usage)
            .moving(transfer.answer.body_bytes, transfer.total)
            .against("raw COPY TO a file", raw)
            .memory_at_most(64.0);
        if raw.is_some() {
            outcome = outcome.at_least_times(goal);
        } else if format == "arrow" {
            outcome = outcome.at_least(2_000_000.0);
        }
        if let ("ndjson" | "csv", Some(cluster)) = (format, bed.cluster()?) {
            let copied = per_second(float(loaded.rows), cluster.copy_out(TABLE)?);
            outcome = outcome.against("PostgreSQL \\copy", Some(copied));
            if bed.args().is_on_postgres() {
                outcome = outcome.at_least_times(0.7);
            }
        }
        bed.keep(outcome);
        limited(bed, &loaded, format)?;
        first_bytes(bed, &loaded, format)?;
    }
    Ok(())
}

/// Short streams from many connections.
fn limited(bed: &mut Bed<'_>, loaded: &super::Loaded, format: &str) -> anyhow::Result<()> {
    let rows = 10_000.min(loaded.rows);
    for connections in bed.args().connections(&[1, 16]) {
        let mut pool = Pool(vec![stream(format, Some(rows))]);
        let (tally, usage) = bed.load(&loaded.server, connections, &mut pool)?;
        check_any("streams", &tally)?;
        let name = format!("streams/{format}, {rows} each {connections}");
        bed.keep(Outcome::of_load(name, &tally, float(rows), "rows/s").costing(usage));
    }
    Ok(())
}

/// The first bytes of streams of all records that are opened one after the other. A machine that
/// has slept takes several times as long, for whatever it does first.
fn first_bytes(bed: &mut Bed<'_>, loaded: &super::Loaded, format: &str) -> anyhow::Result<()> {
    let (address, request) = (loaded.server.address(), stream(format, None));
    let mut times = Vec::new();
    // Those that were left a moment ago may still have all the places.
    for _ in 0..10 * OPENINGS {
        times.extend(first_byte(address, &request)?);
        if times.len() == OPENINGS {
            break;
        }
    }
    ensure!(!times.is_empty(), "no stream began");
    let name = format!("streams/{format}, first byte");
    let first = milliseconds(median(&mut times));
    bed.keep(Outcome::new(name, first, "ms").at_most(50.0));
    Ok(())
}

fn stream(format: &str, limit: Option<u64>) -> Bytes {
    let limit = limit.map_or_else(String::new, |limit| format!("&limit={limit}"));
    get(
        &format!("/api/v1/records/{SCHEMA}/stream?format={format}{limit}"),
        "",
    )
}
