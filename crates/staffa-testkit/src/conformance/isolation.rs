//! What lists of operations that run at one moment never do to each other. The names in brackets
//! are those of Adya, "Weak Consistency" (1999), and of the Hermitage tests.
//!
//! A list is given whole, so a client cannot look between two of its operations; what one question
//! sees is the matter of [`super::moments`], lost updates (P4) that of [`super::concurrency`]. All
//! is of one engine: two that share a database may each do what their lists have seen (G2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use staffa_domain::ports::Storage;
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{Filter, Operation, RecordId, SchemaSnapshot, StorageError, Value};

use crate::assert_fails;
use crate::builders::{batch, next};
use crate::conformance::execute::three_orders;
use crate::conformance::support::{all, execute, field};
use crate::{nth_id, row};

const ROUNDS: i64 = 30;
/// What no list ever leaves.
const NEVER: i64 = -1;

fn set(schema: &Arc<SchemaSnapshot>, n: u64, expected: i64, quantity: i64) -> Operation {
    let reference = ["a", "b", "c"][usize::try_from(n).expect("one of three")];
    let row = row! { reference: reference, quantity: quantity };
    Operation::Replace {
        batch: next(schema, nth_id(n), expected + 1, row),
        expected,
    }
}

fn has(schema: &Arc<SchemaSnapshot>, n: u64, quantity: i64) -> Operation {
    let is = |name, value| {
        let test = Test::Compare(Comparison::Eq, value);
        Filter::condition(field(schema, name), test)
    };
    let id: RecordId = nth_id(n);
    let filter = Filter::And(vec![
        is("id", Value::Uuid(id)),
        is("quantity", Value::Integer(quantity)),
    ]);
    Operation::Assert {
        schema: Arc::clone(schema),
        filter: Some(filter),
        exists: true,
    }
}

/// The first two records as one question sees them: their versions and quantities.
async fn pair(storage: &Storage, schema: &Arc<SchemaSnapshot>) -> [(i64, Value); 2] {
    let records = all(storage, schema).await;
    let quantity = schema.position("quantity").expect("a property");
    [0, 1].map(|at| {
        let record = &records[at];
        (record.version, record.values[quantity].clone())
    })
}

/// Of lists that write to the same two records, one question sees both as one list left them:
/// no write of two lists is mixed (G0), none seen before the end of its list (G1b), and none
/// while another of the same list is not (OTV, PMP, G-single).
pub async fn lists_are_seen_whole(storage: Storage) {
    let schema = three_orders(&storage).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let writers = [0, 1].map(|writer| {
        let (storage, schema) = (storage.clone(), Arc::clone(&schema));
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let quantity = 2 * round + writer;
                loop {
                    let [(first, _), (second, _)] = pair(&storage, &schema).await;
                    let list = vec![
                        set(&schema, 0, first, NEVER),
                        set(&schema, 1, second, quantity),
                        set(&schema, 0, first + 1, quantity),
                    ];
                    match execute(&storage, list).await {
                        Ok(_) => break,
                        Err(StorageError::VersionMismatch { .. } | StorageError::Conflict) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
            }
        })
    });
    let reader = {
        let (storage, schema, is_over) =
            (storage.clone(), Arc::clone(&schema), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut seen = 0;
            while !is_over.load(Ordering::Acquire) {
                let [(_, first), (_, second)] = pair(&storage, &schema).await;
                assert_eq!(first, second, "both are of one list");
                seen += 1;
            }
            seen
        })
    };
    for writer in writers {
        writer.await.expect("a writer");
    }
    is_over.store(true, Ordering::Release);
    assert!(reader.await.expect("a reader") > 0);
    let [(first, _), (second, _)] = pair(&storage, &schema).await;
    assert_eq!(
        (first, second),
        (1 + 4 * ROUNDS, 1 + 2 * ROUNDS),
        "no list is lost"
    );
}

/// What a list wrote before it failed is seen by nobody (G1a).
pub async fn failed_lists_are_never_seen(storage: Storage) {
    let schema = three_orders(&storage).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = {
        let (storage, schema, is_over) =
            (storage.clone(), Arc::clone(&schema), Arc::clone(&is_over));
        tokio::spawn(async move {
            while !is_over.load(Ordering::Acquire) {
                for (version, quantity) in pair(&storage, &schema).await {
                    assert_eq!((version, quantity), (1, Value::Null));
                }
            }
        })
    };
    for _ in 0..ROUNDS {
        let list = vec![
            set(&schema, 0, 1, NEVER),
            set(&schema, 1, 1, NEVER),
            has(&schema, 2, NEVER),
        ];
        assert_fails!(
            execute(&storage, list).await,
            StorageError::AssertionFailed { operation: 2 }
        );
    }
    is_over.store(true, Ordering::Release);
    reader.await.expect("a reader");
}

/// Two lists that each ask for what only the other one writes both fail: neither sees the other
/// before it has ended (G1c).
pub async fn lists_do_not_see_each_other(storage: Storage) {
    let schema = three_orders(&storage).await;
    for _ in 0..ROUNDS {
        let lists = [
            vec![set(&schema, 0, 1, 11), has(&schema, 1, 22)],
            vec![set(&schema, 1, 1, 22), has(&schema, 0, 11)],
        ];
        let calls = lists.map(|list| {
            let storage = storage.clone();
            tokio::spawn(async move { execute(&storage, list).await })
        });
        for call in calls {
            assert_fails!(
                call.await.expect("no call panics"),
                StorageError::AssertionFailed { operation: 1 }
            );
        }
    }
    assert_eq!(
        pair(&storage, &schema).await,
        [(1, Value::Null), (1, Value::Null)]
    );
}

/// Of two lists that each ask whether the other has changed its record, one stands: they are
/// carried out one after the other (G2-item).
pub async fn lists_that_look_at_each_other_are_in_a_row(storage: Storage) {
    let schema = three_orders(&storage).await;
    for _ in 0..ROUNDS {
        let [(first, _), (second, _)] = pair(&storage, &schema).await;
        let reset = vec![set(&schema, 0, first, 1), set(&schema, 1, second, 1)];
        execute(&storage, reset).await.expect("nobody else writes");
        let lists = [
            vec![has(&schema, 1, 1), set(&schema, 0, first + 1, 0)],
            vec![has(&schema, 0, 1), set(&schema, 1, second + 1, 0)],
        ];
        one_stands(&storage, lists).await;
    }
}

/// Of two lists that each ask whether there is a record of some kind and add one, one stands (G2).
pub async fn lists_that_look_for_each_other_are_in_a_row(storage: Storage) {
    let schema = three_orders(&storage).await;
    for round in 0..ROUNDS.unsigned_abs() {
        let kind = format!("kind {round}");
        let is_kind = Test::Compare(Comparison::Eq, Value::String(kind.clone()));
        let lists = [0, 1].map(|n| {
            let n = 10 + 2 * round + n;
            let row = row! { reference: n.to_string(), customer: kind.as_str() };
            let none = Operation::Assert {
                schema: Arc::clone(&schema),
                filter: Some(Filter::condition(
                    field(&schema, "customer"),
                    is_kind.clone(),
                )),
                exists: false,
            };
            vec![none, Operation::Create(batch(&schema, n, vec![row]))]
        });
        one_stands(&storage, lists).await;
    }
}

/// Carries out two lists at once: one stands, and the assertion of the other fails.
async fn one_stands(storage: &Storage, lists: [Vec<Operation>; 2]) {
    let calls = lists.map(|list| {
        let storage = storage.clone();
        tokio::spawn(async move { execute(&storage, list).await })
    });
    let mut stand = 0;
    for call in calls {
        match call.await.expect("no call panics") {
            Ok(_) => stand += 1,
            other => assert_fails!(other, StorageError::AssertionFailed { operation: 0 }),
        }
    }
    assert_eq!(stand, 1);
}
