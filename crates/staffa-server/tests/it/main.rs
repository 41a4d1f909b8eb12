//! The real program, run as a user runs it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic and tell"
)]

mod config;
mod copy;
mod curl;
mod database;
mod demo;
mod deploy;
mod faults;
mod infer;
mod jobs;
mod kill;
mod kill_change;
mod killable;
mod ledger;
mod load;
mod memory;
mod own_writes;
mod program;
mod refusals;
mod remote;
mod scenarios;
mod schema;
mod servers;
mod sweep;
mod transfer;
mod truth;
mod wire;
