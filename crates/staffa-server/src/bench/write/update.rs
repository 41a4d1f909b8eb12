//! Changes of stored records: single ones by id, and many at once by key.

use bytes::Bytes;
use uuid::Uuid;

use super::ingest::ingest;
use crate::bench::bed::{Bed, Watch, check_any, remove};
use crate::bench::client::with_body;
use crate::bench::data::{self, KEYED, PLAIN, Row, mix};
use crate::bench::figure::{float, per_second};
use crate::bench::ids;
use crate::bench::load::Requests;
use crate::bench::report::Outcome;

const NDJSON: &str = "application/x-ndjson";

/// `PATCH` of one property, of records in no order.
pub(super) fn by_id(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let rows = bed.args().rows_or(1_000_000);
    let file = bed.ndjson(rows)?;
    let server = bed.server()?;
    ingest(&server, PLAIN, NDJSON, &file)?;
    let ids = ids::read(server.address(), PLAIN, rows)?;
    for connections in bed.args().connections(&[1, 64]) {
        let (tally, usage) = bed.load(&server, connections, &mut Patches { ids: &ids, sent: 0 })?;
        check_any("update", &tally)?;
        let name = format!("update/{connections}");
        bed.keep(Outcome::of_load(name, &tally, 1.0, "records/s").costing(usage));
    }
    Ok(())
}

struct Patches<'a> {
    ids: &'a [Uuid],
    sent: u64,
}

impl Requests for Patches<'_> {
    fn next(&mut self, number: u64) -> Bytes {
        self.sent += 1;
        let at = mix(self.sent) % self.ids.len().max(1) as u64;
        let id = usize::try_from(at)
            .ok()
            .and_then(|at| self.ids.get(at))
            .copied();
        let path = format!("/api/v1/records/{PLAIN}/{}", id.unwrap_or_default());
        let body = format!("{{\"oil_production_kbd\":{}.5}}", number % 1_000);
        with_body("PATCH", &path, "application/json", body.as_bytes())
    }
}

/// One bulk of records whose keys are there already, in no order.
pub(super) fn upsert(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let rows = bed.args().rows_or(1_000_000);
    let changed = 100_000.min(rows / 2);
    let file = bed.ndjson(rows)?;
    let server = bed.server()?;
    ingest(&server, KEYED, NDJSON, &file)?;
    let path = bed.path("upsert.ndjson");
    // An odd step through all numbers meets none twice.
    let step = (mix(rows) % rows) | 1;
    let step = if rows.is_multiple_of(step) { 1 } else { step };
    let numbers = (0..changed).map(|turn| turn * step % rows);
    data::write_ndjson(&path, numbers.map(|number| Row::salted(number, 1)))?;
    let watch = Watch::start(&server);
    let to = format!("{KEYED}/bulk?mode=upsert");
    let (transfer, body) = crate::bench::client::upload(
        server.address(),
        &format!("/api/v1/records/{to}"),
        NDJSON,
        &path,
    )?;
    let usage = watch.finish();
    crate::bench::bed::check_done("the upsert", transfer.answer.status, &body)?;
    let rate = per_second(float(changed), transfer.total);
    bed.keep(Outcome::new(format!("upsert/{changed} of {rows}"), rate, "rows/s").costing(usage));
    remove(&path);
    Ok(())
}
