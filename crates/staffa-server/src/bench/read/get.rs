//! Single records by id: a small set that everybody wants, and any of all.

use bytes::Bytes;
use staffa_duckdb::reference::RawValue;
use uuid::Uuid;

use super::loaded::{SCHEMA, TABLE, clustered};
use crate::bench::bed::{Bed, check_any};
use crate::bench::client::get;
use crate::bench::data::mix;
use crate::bench::figure::{float_len, per_second};
use crate::bench::load::Requests;
use crate::bench::raw::row_id;
use crate::bench::report::Outcome;

/// How many records the hot set has.
const HOT: usize = 64;

pub(super) fn run(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let loaded = bed.loaded()?;
    let turns = if bed.args().quick { 200 } else { 2_000 };
    let raw = match &loaded.raw {
        Some(raw) => {
            let statement = format!("SELECT * FROM {TABLE} WHERE id = ?::UUID");
            let id = |turn| {
                vec![RawValue::Text(
                    row_id(1 + mix(turn) % loaded.rows).to_string(),
                )]
            };
            let times = raw.queries(&statement, turns, id)?;
            Some(per_second(float_len(times.len()), times.iter().sum()))
        }
        None => None,
    };
    for connections in bed.args().connections(&[1, 16, 64]) {
        let clustered = clustered(bed, "id = {id}", &loaded, connections)?;
        for (way, ids) in [
            ("hot", &loaded.ids[..HOT.min(loaded.ids.len())]),
            ("any", &loaded.ids),
        ] {
            let mut requests = Gets::of(ids);
            let (tally, usage) = bed.load(&loaded.server, connections, &mut requests)?;
            check_any("get", &tally)?;
            let name = format!("get/{way} {connections}");
            let outcome = Outcome::of_load(name, &tally, 1.0, "records/s")
                .costing(usage)
                .against("raw engine, one at a time", raw)
                .against(format!("pgbench -c {connections}"), clustered);
            bed.keep(match (way, connections) {
                ("hot", 64) => outcome.at_least(30_000.0),
                ("any", 64) => outcome.at_least(6_000.0).p99_at_most(30.0),
                _ => outcome,
            });
        }
    }
    Ok(())
}

/// Records of a set by their ids, in no order.
pub(super) struct Gets<'a> {
    ids: &'a [Uuid],
    sent: u64,
}

impl<'a> Gets<'a> {
    pub(super) const fn of(ids: &'a [Uuid]) -> Self {
        Self { ids, sent: 0 }
    }
}

impl Requests for Gets<'_> {
    fn next(&mut self, _number: u64) -> Bytes {
        self.sent += 1;
        let at = mix(self.sent) % self.ids.len().max(1) as u64;
        let id = usize::try_from(at)
            .ok()
            .and_then(|at| self.ids.get(at))
            .copied();
        get(
            &format!("/api/v1/records/{SCHEMA}/{}", id.unwrap_or_default()),
            "",
        )
    }
}
