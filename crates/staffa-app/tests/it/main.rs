//! The use cases over the reference engine, as a transport calls them.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic and tell")]

mod affected;
mod app;
mod change;
mod change_jobs;
mod copy;
mod counts;
mod create;
mod declare;
mod ingest;
mod jobs;
mod modes;
mod moved;
mod once;
mod pages;
mod reuse;
mod rival;
mod transactions;
mod watched;
