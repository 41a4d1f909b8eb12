//! The conformance suite, each case on a database of its own.

use staffa_testkit::conformance::Fixture;
use staffa_testkit::storage_conformance;

use crate::{database, harness};

/// A fresh database; nothing where there is no server.
async fn open() -> Option<Fixture> {
    if database::server().is_none() {
        println!("skipped: STAFFA_TEST_POSTGRES_URL is not set");
        return None;
    }
    let database = database::Database::create().await;
    let storage = harness::open(database.options()).await;
    Some(Fixture::new(storage).keep(database))
}

storage_conformance!(open);
