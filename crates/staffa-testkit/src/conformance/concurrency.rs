//! Concurrent calls: one that fails fails alone, and no change is lost.

use std::sync::Arc;

use futures_util::future::join_all;

use staffa_domain::ports::Storage;
use staffa_domain::{Operation, StorageError, WriteMode};

use crate::builders::{batch, next};
use crate::conformance::execute::three_orders;
use crate::conformance::support::{all, create, execute};
use crate::schemas::orders;
use crate::{assert_fails, nth_id, row};

/// Of 64 calls at once, two of which want the same key, one fails and 63 stand.
pub async fn one_failing_call_fails_alone(storage: Storage) {
    let schema = orders();
    create(&storage, &schema).await;
    let calls = (0..64_u64).map(|n| {
        let reference = (if n == 40 { 20 } else { n }).to_string();
        let created = Operation::Create(batch(&schema, n, vec![row! { reference: reference }]));
        let storage = storage.clone();
        tokio::spawn(async move { execute(&storage, vec![created]).await })
    });
    let answers = join_all(calls).await;
    let mut failed = 0;
    for answer in answers {
        match answer.expect("no call panics") {
            Ok(_) => {}
            Err(StorageError::UniqueViolation { violation }) => {
                assert_eq!(violation.properties, ["reference"]);
                failed += 1;
            }
            Err(other) => panic!("a neighbour failed: {other:?}"),
        }
    }
    assert_eq!((failed, all(&storage, &schema).await.len()), (1, 63));
}

/// Of 16 replaces that expect the same version, one wins; the others learn the new version.
pub async fn one_replace_wins_each_version(storage: Storage) {
    let schema = three_orders(&storage).await;
    for expected in 1..=4 {
        let calls = (0..16_i64).map(|n| {
            let row = row! { reference: "b", quantity: n };
            let operation = Operation::Replace {
                batch: next(&schema, nth_id(1), expected + 1, row),
                expected,
            };
            let storage = storage.clone();
            tokio::spawn(async move { execute(&storage, vec![operation]).await })
        });
        let mut won = 0;
        for answer in join_all(calls).await {
            match answer.expect("no call panics") {
                Ok(_) => won += 1,
                other => assert_fails!(
                    other,
                    StorageError::VersionMismatch { operation: 0, current }
                        if current == expected + 1
                ),
            }
        }
        assert_eq!(won, 1, "exactly one replace of version {expected} wins");
        assert_eq!(all(&storage, &schema).await[1].version, expected + 1);
    }
}

/// Calls made while a session is open are carried out, at the latest after it.
pub async fn calls_go_on_around_a_session(storage: Storage) {
    let schema = orders();
    create(&storage, &schema).await;
    let session = storage
        .writer
        .begin(&schema, WriteMode::Insert.into())
        .await;
    let mut session = session.expect("a session");
    let calls: Vec<_> = (0..16_u64)
        .map(|n| {
            let row = row! { reference: format!("call {n}") };
            let created = Operation::Create(batch(&schema, 1_000 + n, vec![row]));
            let storage = storage.clone();
            tokio::spawn(async move { execute(&storage, vec![created]).await })
        })
        .collect();
    for n in 0..16_u64 {
        let row = row! { reference: format!("session {n}") };
        session
            .append(batch(&schema, n, vec![row]))
            .await
            .expect("a batch");
    }
    session.commit(Vec::new()).await.expect("a commit");
    for answer in join_all(calls).await {
        answer
            .expect("no call panics")
            .expect("a call beside a session");
    }
    assert_eq!(all(&storage, &schema).await.len(), 32);
}

/// Calls of one task that are all under way at once are carried out in their order.
pub async fn calls_of_one_task_keep_their_order(storage: Storage) {
    let schema = three_orders(&storage).await;
    let calls = (1..=20_i64).map(|expected| {
        let operation = Operation::Replace {
            batch: next(&schema, nth_id(0), expected + 1, row! { reference: "a" }),
            expected,
        };
        storage.writer.execute(vec![operation])
    });
    for answer in join_all(calls).await {
        answer.expect("each replace finds the version before it");
    }
    assert_eq!(all(&storage, &Arc::clone(&schema)).await[0].version, 21);
}
