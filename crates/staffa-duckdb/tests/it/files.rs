//! The file: made, found again, refused.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use staffa_domain::ports::{EngineState, Storage};
use staffa_domain::{Operation, PropertyType, SchemaSnapshot, StorageError};
use staffa_duckdb::{OpenError, Options, open};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{all, create_with, execute};
use staffa_testkit::row;
use staffa_testkit::schemas::SchemaBuilder;
use tempfile::TempDir;

async fn storage_at(path: &Path) -> Storage {
    open(Options::new(path)).await.expect("an engine")
}

/// A schema with two records, one written by each way of writing.
async fn fill(storage: &Storage) -> Arc<SchemaSnapshot> {
    let schema = SchemaBuilder::new("orders")
        .unique("reference", PropertyType::String)
        .optional("quantity", PropertyType::Integer)
        .snapshot();
    let first = vec![row! { reference: "A-1", quantity: 3 }];
    create_with(storage, batch(&schema, 0, first)).await;
    let second = batch(&schema, 1, vec![row! { reference: "A-2" }]);
    execute(storage, vec![Operation::Create(second)])
        .await
        .unwrap();
    schema
}

async fn check(storage: &Storage, schema: Arc<SchemaSnapshot>) {
    let stored = storage.catalog.load().await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].name, "orders");
    storage.catalog.ensure(&schema).await.unwrap();
    assert_eq!(all(storage, &schema).await.len(), 2);
    let taken = batch(&schema, 2, vec![row! { reference: "A-2" }]);
    let error = execute(storage, vec![Operation::Create(taken)])
        .await
        .unwrap_err();
    assert!(
        matches!(error, StorageError::UniqueViolation { .. }),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_file_is_whole_when_opened_again() {
    let folder = TempDir::new().unwrap();
    let storage = storage_at(folder.path()).await;
    let written = fill(&storage).await;
    storage.monitor.close().await;
    storage.monitor.close().await;
    assert_eq!(storage.monitor.state(), EngineState::Closed);
    let again = storage_at(folder.path()).await;
    check(&again, written).await;
    again.monitor.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_an_engine_that_is_just_dropped() {
    let folder = TempDir::new().unwrap();
    let storage = storage_at(folder.path()).await;
    let written = fill(&storage).await;
    drop(storage);
    let again = storage_at(folder.path()).await;
    check(&again, written).await;
    again.monitor.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_engine_takes_no_work() {
    let folder = TempDir::new().unwrap();
    let storage = storage_at(folder.path()).await;
    storage.monitor.close().await;
    let probe = storage.monitor.probe().await;
    assert!(
        matches!(probe, Err(StorageError::Unavailable(_))),
        "{probe:?}"
    );
    let write = execute(&storage, Vec::new()).await;
    assert!(
        matches!(write, Err(StorageError::Unavailable(_))),
        "{write:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("staffa.duckdb");
    fs::write(&path, b"this is a letter, not a database").unwrap();
    let error = open(Options::new(folder.path())).await.unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert_eq!(
        fs::read(&path).unwrap(),
        b"this is a letter, not a database"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_program_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("staffa.duckdb");
    let other = duckdb::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE t (a BIGINT)").unwrap();
    other.close().unwrap();
    let error = open(Options::new(folder.path())).await.unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_is_refused() {
    let folder = TempDir::new().unwrap();
    let storage = storage_at(folder.path()).await;
    storage.monitor.close().await;
    drop(storage);
    let path = folder.path().join("staffa.duckdb");
    let other = duckdb::Connection::open(&path).unwrap();
    other
        .execute_batch("UPDATE staffa_catalog.meta SET format = 1000")
        .unwrap();
    other.close().unwrap();
    let error = open(Options::new(folder.path())).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, b"").unwrap();
    let error = open(Options::new(path.join("below"))).await.unwrap_err();
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_made_file_of_a_crash_does_not_matter() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("staffa.duckdb.new"), b"half").unwrap();
    let storage = storage_at(folder.path()).await;
    storage.monitor.probe().await.unwrap();
    storage.monitor.close().await;
}
