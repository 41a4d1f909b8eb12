//! The scenarios of `staffa bench write`.

mod bulk;
mod create;
mod grow;
mod ingest;
mod mix;
mod update;

use super::Scenario;

pub(super) use create::requests;
pub(super) use ingest::ingest;

/// Every scenario, in the order in which they run.
pub(crate) const SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "create",
        about: "single creates from many connections",
        run: create::run,
    },
    Scenario {
        name: "bulk",
        about: "bulks of 1 to 100,001 records",
        run: bulk::run,
    },
    Scenario {
        name: "ingest",
        about: "files of every format",
        run: ingest::run,
    },
    Scenario {
        name: "grow",
        about: "bulks of 5 GB into a schema that grows to 72 M records",
        run: grow::run,
    },
    Scenario {
        name: "update",
        about: "single updates by id",
        run: update::by_id,
    },
    Scenario {
        name: "mix",
        about: "single creates during a bulk",
        run: mix::run,
    },
    Scenario {
        name: "upsert",
        about: "upserts by random key",
        run: update::upsert,
    },
];
