//! The adapter on a real server: the conformance suite, and what only this engine can do.
//!
//! `STAFFA_TEST_POSTGRES_URL` names a server on which databases may be made, as keys and
//! values (`host=/run/postgresql user=postgres dbname=postgres`). Without it the tests pass
//! and say that they were skipped.

mod adapter;
mod citus;
mod database;
mod proxy;

use staffa_testkit::MemoryEngine;
use staffa_testkit::conformance::Fixture;
use staffa_testkit::storage_conformance;

/// A fresh database. Without a server the reference engine takes its place, so that a case
/// has something to run on; it proves nothing then, and says so.
async fn open() -> Fixture {
    if database::server().is_none() {
        println!("skipped: STAFFA_TEST_POSTGRES_URL is not set");
        return Fixture::new(MemoryEngine::open());
    }
    let database = database::Database::create().await;
    let storage = staffa_postgres::open(database.options()).await;
    Fixture::new(storage.expect("an open storage")).keep(database)
}

storage_conformance!(open);
