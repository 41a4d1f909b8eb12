//! The adapter on a real server: the conformance suite, and what only this engine can do.
//!
//! `STAFFA_TEST_POSTGRES_URL` names a server on which databases may be made, as keys and
//! values (`host=/run/postgresql user=postgres dbname=postgres`). Without it the tests pass
//! and say that they were skipped.
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

mod database;
mod harness;
mod proxy;

mod citus;
mod conformance;
mod durable;
mod full;
mod isolation;
mod limits;
mod locks;
mod lost;
mod servers;
mod streams;
