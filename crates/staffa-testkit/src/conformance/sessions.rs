//! Sessions: one atomic write of any size.

use staffa_domain::ports::Storage;
use staffa_domain::{StorageError, Value, WriteMode};

use crate::builders::{batch, numbered};
use crate::conformance::execute::three_orders;
use crate::conformance::support::{all, create, insert};
use crate::schemas::{orders, readings};
use crate::{assert_fails, row};

/// No reader sees a record of a session before its commit, and every one after it.
pub async fn nothing_is_seen_before_the_commit(storage: Storage) {
    let schema = three_orders(&storage).await;
    let session = storage
        .writer
        .begin(&schema, WriteMode::Insert.into())
        .await;
    let mut session = session.expect("a session");
    session
        .append(batch(&schema, 5, vec![row! { reference: "x" }]))
        .await
        .expect("a batch");
    assert_eq!(all(&storage, &schema).await.len(), 3);
    let receipt = session.commit().await.expect("a commit");
    assert_eq!(receipt.inserted, 1);
    assert_eq!(all(&storage, &schema).await.len(), 4);
}

/// A session dropped at any point leaves nothing, and the next one starts at once.
pub async fn dropping_a_session_leaves_nothing(storage: Storage) {
    let schema = three_orders(&storage).await;
    for batches in 0..3_u64 {
        let session = storage
            .writer
            .begin(&schema, WriteMode::Insert.into())
            .await;
        let mut session = session.expect("a session");
        for n in 0..batches {
            let row = row! { reference: format!("x{n}") };
            session
                .append(batch(&schema, 5 + n, vec![row]))
                .await
                .expect("a batch");
        }
        drop(session);
    }
    assert_eq!(all(&storage, &schema).await.len(), 3);
    let again = batch(&schema, 5, vec![row! { reference: "x0" }]);
    insert(&storage, vec![again])
        .await
        .expect("the key is free");
    assert_eq!(all(&storage, &schema).await.len(), 4);
}

/// Many batches, of which one is empty, are one write with one receipt.
pub async fn many_batches_are_one_write(storage: Storage) {
    let schema = orders();
    create(&storage, &schema).await;
    let one = |n: u64| batch(&schema, n, vec![row! { reference: n.to_string() }]);
    let mut batches: Vec<_> = (0..50).map(one).collect();
    batches.insert(25, numbered(&schema, 0, &[]));
    let receipt = insert(&storage, batches).await.expect("a write");
    assert_eq!(
        (
            receipt.inserted,
            receipt.updated,
            receipt.ignored,
            receipt.deleted
        ),
        (50, 0, 0, 0)
    );
    assert_eq!(all(&storage, &schema).await.len(), 50);
}

/// A session without a batch commits and did nothing.
pub async fn an_empty_session_commits(storage: Storage) {
    let schema = three_orders(&storage).await;
    let session = storage
        .writer
        .begin(&schema, WriteMode::Insert.into())
        .await;
    let receipt = session
        .expect("a session")
        .commit()
        .await
        .expect("a commit");
    assert_eq!(
        (
            receipt.inserted,
            receipt.updated,
            receipt.ignored,
            receipt.deleted
        ),
        (0, 0, 0, 0)
    );
    assert_eq!(all(&storage, &schema).await.len(), 3);
}

/// A taken value, stored or within the session, names the record; nothing is stored.
pub async fn a_duplicate_undoes_the_session(storage: Storage) {
    let schema = three_orders(&storage).await;
    for taken in ["b", "x11"] {
        let rows = |part: u64| {
            let name = move |n: u64| {
                if (part, n) == (3, 7) {
                    taken.to_owned()
                } else {
                    format!("x{}", part * 10 + n)
                }
            };
            (0..10).map(|n| row! { reference: name(n) }).collect()
        };
        let batches = (1..4)
            .map(|part| batch(&schema, part * 10, rows(part)))
            .collect();
        assert_fails!(
            insert(&storage, batches).await,
            StorageError::UniqueViolation { violation }
                if violation.index == Some(37) && violation.properties == ["reference"]
        );
        assert_eq!(all(&storage, &schema).await.len(), 3);
    }
}

/// 300,000 records in batches of 8,192 are all there.
pub async fn a_large_session_is_whole(storage: Storage) {
    const RECORDS: u64 = 300_000;
    let schema = readings();
    create(&storage, &schema).await;
    let session = storage
        .writer
        .begin(&schema, WriteMode::Insert.into())
        .await;
    let mut session = session.expect("a session");
    for first in (0..RECORDS).step_by(8_192) {
        let rows: Vec<Vec<Value>> = (first..RECORDS.min(first + 8_192))
            .map(|n| vec![Value::String(format!("sensor {}", n % 7)), Value::Null])
            .collect();
        session
            .append(numbered(&schema, first, &rows))
            .await
            .expect("a batch");
    }
    let receipt = session.commit().await.expect("a commit");
    assert_eq!(receipt.inserted, RECORDS);
    let count = storage
        .reader
        .count(&schema, None, true)
        .await
        .expect("a count");
    assert_eq!(count.records, RECORDS);
}
