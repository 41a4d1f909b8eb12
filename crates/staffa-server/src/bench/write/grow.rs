//! Bulks of gigabytes: the memory that one takes must not depend on its length, nor what it costs
//! on what is there already.

use std::path::Path;

use super::ingest::ingest;
use crate::bench::bed::{Bed, Watch};
use crate::bench::data::{APPEND, PLAIN};
use crate::bench::figure::{float, per_second};
use crate::bench::report::Outcome;
use crate::bench::server::Server;

/// How many bulks go ahead of the one that is compared with the first.
const BULKS_AHEAD: u64 = 5;

/// What the engine may take for itself beside indexes, in bytes: little, so that whatever else
/// is taken shows.
const MEMORY_LIMIT: u64 = 256_000_000;

/// Megabytes above idle that a bulk of any length takes at most.
const RISE_MAX_MB: f64 = 350.0;

/// What a record in an id index may take beyond that, in bytes.
const INDEXED_BYTES: u64 = 80;

pub(super) fn run(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let rows = bed.args().rows_or(12_000_000);
    let file = bed.ndjson(rows)?;
    for (schema, indexed_bytes) in [(APPEND, 0), (PLAIN, INDEXED_BYTES)] {
        let server = start(bed, rows * indexed_bytes)?;
        let outcome = bulk(&server, "alone", schema, (&file, rows))?;
        bed.keep(outcome.memory_at_most(RISE_MAX_MB + float(rows * indexed_bytes) / 1e6));
        drop(server);

        let server = start(bed, (BULKS_AHEAD + 1) * rows * indexed_bytes)?;
        let mut into_empty = None;
        for stored in (0..=BULKS_AHEAD).map(|bulk| bulk * rows) {
            let outcome = bulk(&server, &format!("{stored} there"), schema, (&file, rows))?;
            let rate = outcome.value;
            let outcome = outcome.against("into an empty one", into_empty);
            let is_last = stored == BULKS_AHEAD * rows;
            bed.keep(if is_last {
                outcome.at_least_times(0.8)
            } else {
                outcome
            });
            into_empty = into_empty.or(Some(rate));
        }
    }
    Ok(())
}

/// A server whose engine has little memory, beside so many bytes of indexes.
fn start(bed: &mut Bed<'_>, indexed_bytes: u64) -> anyhow::Result<Server> {
    if bed.args().is_on_postgres() {
        return bed.server();
    }
    let limit = (MEMORY_LIMIT + indexed_bytes).to_string();
    bed.server_with(&["--duckdb-memory-limit", &limit])
}

fn bulk(
    server: &Server,
    what: &str,
    schema: &str,
    (file, rows): (&Path, u64),
) -> anyhow::Result<Outcome> {
    let watch = Watch::start(server);
    let time = ingest(server, schema, "application/x-ndjson", file)?;
    let rate = per_second(float(rows), time);
    let bytes = std::fs::metadata(file)?.len();
    Ok(
        Outcome::new(format!("grow/{schema}, {what}"), rate, "rows/s")
            .costing(watch.finish())
            .moving(bytes, time),
    )
}
