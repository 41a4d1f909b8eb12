//! The scenarios of `staffa bench read`.

mod get;
mod loaded;
mod pages;
mod pressure;
mod questions;
mod streams;

use super::Scenario;

pub(crate) use loaded::Loaded;

/// Every scenario, in the order in which they run. They share one set of stored records.
pub(crate) const SCENARIOS: [Scenario; 10] = [
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
    Scenario {
        name: "beside",
        about: "single records while streams, aggregates and a bulk run",
        run: pressure::beside,
    },
    Scenario {
        name: "overload",
        about: "ten times as many questions as can be answered",
        run: pressure::overload,
    },
    Scenario {
        name: "slow",
        about: "streams to a client that takes 100 KB a second",
        run: pressure::slow,
    },
    Scenario {
        name: "leavers",
        about: "500 clients that leave in the middle of a stream",
        run: pressure::leavers,
    },
];
