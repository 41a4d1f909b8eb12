//! Sessions: one atomic write of any size.

use std::sync::Arc;
use std::time::Duration;

use staffa_domain::error::Unavailable;
use staffa_domain::ports::Storage;
use staffa_domain::{
    OnRefusal, Operation, PropertyType, Schema, SchemaName, SchemaSnapshot, StorageError, Value,
    WriteMode, WriteOptions, WriteReceipt,
};

use crate::builders::{batch, numbered};
use crate::conformance::execute::three_orders;
use crate::conformance::support::{all, create, execute, insert};
use crate::schemas::{SchemaBuilder, orders, readings};
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
    let receipt = session.commit(Vec::new()).await.expect("a commit");
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
        .commit(Vec::new())
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
    let receipt = session.commit(Vec::new()).await.expect("a commit");
    assert_eq!(receipt.inserted, RECORDS);
    let count = storage
        .reader
        .count(&schema, None, true)
        .await
        .expect("a count");
    assert_eq!(count.records, RECORDS);
}

/// Before its commit a session tells what that will answer.
pub async fn settling_tells_what_the_commit_will(storage: Storage) {
    let schema = three_orders(&storage).await;
    let skipping = WriteOptions {
        on_refusal: OnRefusal::Skip { told_max: 5 },
        tells_ids: true,
        ..WriteOptions::default()
    };
    // The second one meets a stored record, which the first must not.
    for (first, options, names) in [
        (10, WriteMode::Insert.into(), ["x", "y"]),
        (20, skipping, ["b", "z"]),
    ] {
        let session = storage.writer.begin(&schema, options).await;
        let mut session = session.expect("a session");
        let rows = names.map(|name| row! { reference: name }).to_vec();
        session
            .append(batch(&schema, first, rows))
            .await
            .expect("a batch");
        let settled = session.settle().await.expect("a receipt");
        let refused = u64::from(names[0] == "b");
        assert_eq!((settled.inserted, settled.refused), (2 - refused, refused));
        assert_eq!(all(&storage, &schema).await.len() as u64, 3 + 2 * refused);
        let receipt = session.commit(Vec::new()).await.expect("a commit");
        let expected = WriteReceipt {
            commit: receipt.commit,
            ..settled
        };
        assert_eq!(receipt, expected);
    }
    assert_eq!(all(&storage, &schema).await.len(), 6);
}

/// New records of other schemas become visible with a session's own, and not before.
pub async fn further_records_join_the_commit(storage: Storage) {
    let schema = three_orders(&storage).await;
    let other = notes(&storage).await;
    let also = || numbered(&other, 40, &[vec![Value::String("kept".to_owned())]]);
    // In every way that a session may work, and without a record of its own.
    let upsert = WriteMode::Upsert {
        key: schema.schema().unique_groups().swap_remove(0),
    };
    for (mode, own) in [
        (WriteMode::Insert, true),
        (upsert, true),
        (WriteMode::Insert, false),
    ] {
        let session = storage.writer.begin(&schema, mode.into()).await;
        let mut session = session.expect("a session");
        if own {
            let name = row! { reference: format!("y{}", all(&storage, &schema).await.len()) };
            let first = 50 + all(&storage, &schema).await.len() as u64;
            let own = batch(&schema, first, vec![name]);
            session.append(own).await.expect("a batch");
        }
        assert_eq!(all(&storage, &other).await.len(), 0);
        session.commit(vec![also()]).await.expect("a commit");
        assert_eq!(all(&storage, &other).await.len(), 1);
        let delete = Operation::Delete {
            schema: Arc::clone(&other),
            id: also().id(0),
            expected: None,
        };
        execute(&storage, vec![delete]).await.expect("a deletion");
    }
    assert_eq!(all(&storage, &schema).await.len(), 5);
}

/// A further record whose id is taken undoes the session, which says so.
pub async fn a_taken_further_record_undoes_the_session(storage: Storage) {
    let schema = three_orders(&storage).await;
    let other = notes(&storage).await;
    let also = || numbered(&other, 40, &[vec![Value::String("kept".to_owned())]]);
    insert(&storage, vec![also()]).await.expect("a new record");
    let session = storage
        .writer
        .begin(&schema, WriteMode::Insert.into())
        .await;
    let mut session = session.expect("a session");
    let own = batch(&schema, 50, vec![row! { reference: "y" }]);
    session.append(own).await.expect("a batch");
    assert_fails!(
        session.commit(vec![also()]).await,
        StorageError::UniqueViolation { violation } if violation.properties == ["id"]
    );
    assert_eq!(all(&storage, &schema).await.len(), 3);
    assert_eq!(all(&storage, &other).await.len(), 1);
}

/// What refused records undo leaves no further record either.
pub async fn an_undone_session_adds_nothing_further(storage: Storage) {
    let schema = three_orders(&storage).await;
    let other = notes(&storage).await;
    let options = WriteOptions {
        on_refusal: OnRefusal::Undo { told_max: 5 },
        ..WriteOptions::default()
    };
    let session = storage.writer.begin(&schema, options).await;
    let mut session = session.expect("a session");
    let rows = vec![row! { reference: "y" }, row! { reference: "b" }];
    session
        .append(batch(&schema, 50, rows))
        .await
        .expect("a batch");
    let settled = session.settle().await.expect("a receipt");
    assert_eq!((settled.inserted, settled.refused), (0, 1));
    let also = numbered(&other, 40, &[vec![Value::String("kept".to_owned())]]);
    let receipt = session.commit(vec![also]).await.expect("a commit");
    assert_eq!((receipt.inserted, receipt.refused), (0, 1));
    assert_eq!(all(&storage, &schema).await.len(), 3);
    assert_eq!(all(&storage, &other).await.len(), 0);
}

/// A schema that the program keeps for itself, with one text.
async fn notes(storage: &Storage) -> Arc<SchemaSnapshot> {
    let schema = Schema {
        name: SchemaName::internal("_notes").expect("an internal name"),
        ..SchemaBuilder::new("notes")
            .required("text", PropertyType::String)
            .schema()
    };
    let schema = Arc::new(SchemaSnapshot::first(schema));
    create(storage, &schema).await;
    schema
}

/// Where an engine carries out a few sessions at a time, one that may not wait is refused while
/// these last, and one that may gets its turn after them.
pub async fn who_does_not_wait_is_refused(storage: Storage) {
    /// An engine that opens as many has no such places.
    const MANY: usize = 16;
    let schema = three_orders(&storage).await;
    let at_once = WriteOptions {
        turn_within: Some(Duration::ZERO),
        ..WriteOptions::default()
    };
    let mut open = Vec::new();
    while open.len() < MANY {
        match storage.writer.begin(&schema, at_once.clone()).await {
            Ok(session) => open.push(session),
            Err(StorageError::Unavailable(Unavailable::Overloaded)) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(!open.is_empty(), "the first has no one to wait for");
    let patient = storage.writer.begin(&schema, WriteOptions::default());
    let patient = async {
        let mut session = patient.await.expect("its turn");
        let one = batch(&schema, 5, vec![row! { reference: "x" }]);
        session.append(one).await.expect("a batch");
        session.commit(Vec::new()).await.expect("a commit")
    };
    let leave = async { drop(open) };
    let (receipt, ()) = tokio::join!(patient, leave);
    assert_eq!(receipt.inserted, 1);
    assert_eq!(all(&storage, &schema).await.len(), 4);
}
