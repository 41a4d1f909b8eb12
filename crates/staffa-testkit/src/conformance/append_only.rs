//! Schemas that only grow.

use std::sync::Arc;

use staffa_domain::ports::Storage;
use staffa_domain::{Operation, StorageError, WriteMode};

use crate::builders::{batch, next};
use crate::conformance::support::{all, create_with, execute, insert};
use crate::schemas::readings;
use crate::{assert_fails, nth_id, row};

/// Records are added by sessions and by operations, and stay at version one.
pub async fn records_are_only_added(storage: Storage) {
    let schema = readings();
    create_with(
        &storage,
        batch(&schema, 0, vec![row! { sensor: "a", reading: 1.5 }]),
    )
    .await;
    let more = batch(&schema, 1, vec![row! { sensor: "a" }, row! { sensor: "b" }]);
    insert(&storage, vec![more]).await.expect("new records");
    let created = Operation::Create(batch(&schema, 3, vec![row! { sensor: "a" }]));
    execute(&storage, vec![created])
        .await
        .expect("a new record");
    let records = all(&storage, &schema).await;
    assert_eq!(records.len(), 4);
    assert!(
        records
            .iter()
            .all(|r| r.version == 1 && r.updated_at == r.created_at)
    );
    let found = storage
        .reader
        .get(&schema, &[nth_id(2)])
        .await
        .expect("a record by id");
    assert_eq!(found.num_rows(), 1);
}

/// Replaces, deletes and the modes that change records are not supported.
pub async fn changes_are_unsupported(storage: Storage) {
    let schema = readings();
    create_with(&storage, batch(&schema, 0, vec![row! { sensor: "a" }])).await;
    let replaced = Operation::Replace {
        batch: next(&schema, nth_id(0), 2, row! { sensor: "b" }),
        expected: 1,
    };
    let deleted = Operation::Delete {
        schema: Arc::clone(&schema),
        id: nth_id(0),
        expected: None,
    };
    for operation in [replaced, deleted] {
        assert_fails!(
            execute(&storage, vec![operation]).await,
            StorageError::Unsupported(_)
        );
    }
    for mode in [
        WriteMode::Upsert { key: vec![0] },
        WriteMode::Delete { key: vec![0] },
    ] {
        assert_fails!(
            storage.writer.begin(&schema, mode.into()).await,
            StorageError::Unsupported(_)
        );
    }
    assert_eq!(all(&storage, &schema).await.len(), 1);
}
