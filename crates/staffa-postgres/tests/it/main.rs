//! The adapter on a real server: the conformance suite, and what only this engine can do.
//!
//! `STAFFA_TEST_POSTGRES_URL` names a server on which databases may be made, as keys and
//! values (`host=/run/postgresql user=postgres dbname=postgres`). Without it the tests pass
//! and say that they were skipped.
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

mod adapter;
mod citus;
mod database;
mod proxy;

use staffa_testkit::conformance::Fixture;
use staffa_testkit::storage_conformance;

/// A fresh database; nothing where there is no server.
async fn open() -> Option<Fixture> {
    if database::server().is_none() {
        println!("skipped: STAFFA_TEST_POSTGRES_URL is not set");
        return None;
    }
    let database = database::Database::create().await;
    let storage = staffa_postgres::open(database.options()).await;
    Some(Fixture::new(storage.expect("an open storage")).keep(database))
}

storage_conformance!(open);
