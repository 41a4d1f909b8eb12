//! Single creates: each a request, each durable before it is answered.

use bytes::Bytes;

use crate::bench::bed::{Bed, check_any};
use crate::bench::client::with_body;
use crate::bench::data::{PLAIN, Row};
use crate::bench::figure::{float_len, per_second};
use crate::bench::load::{Pace, Pool};
use crate::bench::report::Outcome;

/// How many different requests are sent over and over.
const REQUESTS: u64 = 8_192;

/// What part of the closed loop's rate the open loop asks for.
const OPEN_PART: f64 = 0.7;

pub(super) fn run(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let raw = raw_rate(bed)?;
    for connections in bed.args().connections(&[1, 16, 64, 256]) {
        let clustered = match bed.cluster()? {
            Some(cluster) => {
                cluster.sql("DROP TABLE IF EXISTS singles")?;
                cluster.table("singles", true)?;
                Some(cluster.insert_singles("singles", connections, bed.args().time())?)
            }
            None => None,
        };
        let server = bed.server()?;
        let mut requests = requests(PLAIN);
        let (tally, usage) = bed.load(&server, connections, &mut requests)?;
        check_any("create", &tally)?;
        let name = format!("create/{connections}");
        let mut outcome = Outcome::of_load(&name, &tally, 1.0, "records/s").costing(usage);
        if connections == 1 {
            outcome = outcome
                .against("raw engine, one INSERT each", raw)
                .at_least_times(0.8);
        }
        outcome = outcome.against(format!("pgbench -c {connections}"), clustered);
        outcome = match connections {
            64 => outcome
                .at_least_times(1.0)
                .at_least(15_000.0)
                .p99_at_most(25.0),
            256 => outcome.at_least(35_000.0),
            _ => outcome,
        };
        let rate = outcome.value;
        bed.keep(outcome);
        if connections == 64 {
            let asked = bed.args().rate.unwrap_or(rate * OPEN_PART);
            let (tally, usage) = bed.paced(&server, 256, Pace::Open(asked), &mut requests)?;
            let name = format!("create/open at {asked:.0}/s");
            bed.keep(Outcome::of_load(name, &tally, 1.0, "records/s").costing(usage));
        }
    }
    Ok(())
}

/// Creates through `POST /records`.
pub(in crate::bench) fn requests(schema: &str) -> Pool {
    let request = |index| -> Bytes {
        let mut body = format!("{{\"schema_name\":\"{schema}\",\"data\":").into_bytes();
        Row::new(index).write_json(&mut body);
        body.push(b'}');
        with_body("POST", "/api/v1/records", "application/json", &body)
    };
    Pool((0..REQUESTS).map(request).collect())
}

fn raw_rate(bed: &Bed<'_>) -> anyhow::Result<Option<f64>> {
    let Some(raw) = bed.raw()? else {
        return Ok(None);
    };
    raw.table("singles", true, 0)?;
    let times = raw.insert_singles("singles", bed.args().time())?;
    Ok(Some(per_second(float_len(times.len()), times.iter().sum())))
}
