//! The embedded engine against the promises of the ports, and what is its own: files,
//! reopening, locks.
#![expect(clippy::unwrap_used, reason = "a test may end at once")]

mod files;
mod pages;
mod priorities;

use staffa_duckdb::{Options, open};
use staffa_testkit::conformance::Fixture;
use tempfile::TempDir;

async fn fresh() -> Fixture {
    let folder = TempDir::new().expect("a folder");
    let storage = open(Options::new(folder.path())).await.expect("an engine");
    Fixture::new(storage).keep(folder)
}

mod conformance {
    use super::fresh;

    staffa_testkit::storage_conformance!(fresh);
}
