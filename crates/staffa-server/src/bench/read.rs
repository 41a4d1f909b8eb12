//! The scenarios of `staffa bench read`.

mod get;
mod loaded;
mod pages;
mod questions;
mod streams;

use super::Scenario;

pub(crate) use loaded::Loaded;

/// Every scenario, in the order in which they run. They share one set of stored records.
pub(crate) const SCENARIOS: [Scenario; 6] = [
    Scenario {
        name: "get",
        about: "single records by id, hot and cold",
        run: get::run,
    },
    Scenario {
        name: "pages",
        about: "pages first and deep, in several orders",
        run: pages::run,
    },
    Scenario {
        name: "filters",
        about: "pages of filtered records",
        run: questions::filters,
    },
    Scenario {
        name: "count",
        about: "filtered counts",
        run: questions::counts,
    },
    Scenario {
        name: "aggregate",
        about: "groups and their figures",
        run: questions::aggregates,
    },
    Scenario {
        name: "streams",
        about: "all records in every format",
        run: streams::run,
    },
];
