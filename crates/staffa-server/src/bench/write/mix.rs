//! Single creates while one large bulk runs, into the same schema and into another.

use std::sync::atomic::{AtomicBool, Ordering};

use super::create::requests;
use super::ingest::ingest;
use crate::bench::bed::{Bed, Watch, check_any};
use crate::bench::data::{OTHER, PLAIN};
use crate::bench::figure::{float, per_second};
use crate::bench::load::{self, Load, Pace, Until, WhileRunning};
use crate::bench::report::Outcome;

const CONNECTIONS: usize = 64;

pub(super) fn run(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let rows = bed.args().rows_or(1_000_000);
    let file = bed.ndjson(rows)?;
    let alone = {
        let server = bed.server()?;
        let (tally, usage) = bed.load(&server, CONNECTIONS, &mut requests(PLAIN))?;
        check_any("mix", &tally)?;
        let outcome = Outcome::of_load("mix/alone", &tally, 1.0, "records/s").costing(usage);
        let rate = outcome.value;
        bed.keep(outcome);
        rate
    };
    for (name, bulk) in [("same schema", PLAIN), ("other schema", OTHER)] {
        let server = bed.server()?;
        let over = AtomicBool::new(false);
        let mut singles = WhileRunning::new(requests(PLAIN), &over);
        let until = Until::Elapsed(std::time::Duration::from_secs(600));
        let address = server.address();
        let load = Load {
            address,
            connections: CONNECTIONS,
            pace: Pace::Closed,
            until,
        };
        let watch = Watch::start(&server);
        let (tally, time) = std::thread::scope(|scope| {
            let bulk = scope.spawn(|| {
                let time = ingest(&server, bulk, "application/x-ndjson", &file);
                over.store(true, Ordering::Relaxed);
                time
            });
            let tally = load::run(&load, &mut singles);
            (tally, bulk.join())
        });
        let time = time.map_err(|_| anyhow::anyhow!("the thread of the bulk panicked"))??;
        let tally = tally?;
        let outcome = Outcome::of_load(format!("mix/singles, {name}"), &tally, 1.0, "records/s")
            .costing(watch.finish())
            .against("alone", Some(alone))
            .at_least_times(0.3)
            .p99_at_most(400.0);
        bed.keep(outcome);
        let rate = per_second(float(rows), time);
        bed.keep(Outcome::new(format!("mix/bulk, {name}"), rate, "rows/s"));
    }
    Ok(())
}
