//! The numbers by which readers know that an answer still holds. An engine that others write
//! to has none, and nothing to prove.

use std::sync::Arc;

use futures_util::future::join_all;

use staffa_domain::change::{next_version, plan};
use staffa_domain::ports::{SchemaChange, Storage};
use staffa_domain::{Operation, SchemaSnapshot, WriteMode};

use crate::builders::{batch, next};
use crate::conformance::evolution::evolve;
use crate::conformance::support::{create, execute, insert, write};
use crate::schemas::{orders, readings};
use crate::{nth_id, row};

fn number(storage: &Storage, schema: &SchemaSnapshot) -> u64 {
    let number = storage.reader.commit_sequence(schema);
    number.expect("an engine that had a number keeps having one")
}

/// It has risen when a write is answered, whichever way the write went in, and when the schema
/// has changed; it stands while nothing is written.
pub async fn it_rises_with_every_write(storage: Storage) {
    let (schema, other) = (orders(), readings());
    create(&storage, &schema).await;
    create(&storage, &other).await;
    if storage.reader.commit_sequence(&schema).is_none() {
        return;
    }
    let mut last = number(&storage, &schema);
    let mut rose = |what: &str| {
        let now = number(&storage, &schema);
        assert!(now > last, "{what}: {now} is not above {last}");
        assert_eq!(number(&storage, &schema), now, "it stands");
        last = now;
    };
    let created = Operation::Create(batch(&schema, 0, vec![row! { reference: "a" }]));
    execute(&storage, vec![created]).await.expect("a record");
    rose("a create");
    let replaced = Operation::Replace {
        batch: next(&schema, nth_id(0), 2, row! { reference: "b" }),
        expected: 1,
    };
    let beside = Operation::Create(batch(&other, 7, vec![row! { sensor: "s", reading: 1.0 }]));
    execute(&storage, vec![replaced, beside])
        .await
        .expect("a replaced record");
    rose("a replace beside a create of another schema");
    let many = batch(
        &schema,
        10,
        vec![row! { reference: "c" }, row! { reference: "d" }],
    );
    insert(&storage, vec![many]).await.expect("a session");
    rose("a session");
    let removed = Operation::Delete {
        schema: Arc::clone(&schema),
        id: nth_id(0),
        expected: None,
    };
    execute(&storage, vec![removed])
        .await
        .expect("a removed record");
    rose("a delete");
    let mut changed = schema.schema().clone();
    changed.properties[1].description = Some("its number".to_owned());
    let plan = plan(schema.schema(), &changed).expect("a way between the two");
    let from = Arc::new(next_version(&schema, &changed, &plan));
    evolve(&storage, &schema, &from).await.expect("a change");
    rose("a changed schema");
    let dropped = storage.catalog.apply(SchemaChange::Drop { from }).await;
    dropped.expect("a dropped schema");
    create(&storage, &schema).await;
    rose("a schema dropped and made anew");
}

/// A record's own number has risen when a write that changes it is answered, whichever way the
/// write went in.
pub async fn a_records_own_rises_with_every_change_of_it(storage: Storage) {
    let schema = orders();
    create(&storage, &schema).await;
    let id = nth_id(0);
    let number = || storage.reader.record_sequence(&schema, id);
    if number().is_none() {
        return;
    }
    let created = Operation::Create(batch(&schema, 0, vec![row! { reference: "a" }]));
    execute(&storage, vec![created]).await.expect("a record");
    let mut last = number();
    let mut rose = |what: &str| {
        let now = number();
        assert!(now > last, "{what}: {now:?} is not above {last:?}");
        last = now;
    };
    let replaced = Operation::Replace {
        batch: next(&schema, id, 2, row! { reference: "a", quantity: 2 }),
        expected: 1,
    };
    execute(&storage, vec![replaced])
        .await
        .expect("a replaced record");
    rose("a replace");
    let reference = schema.position("reference").expect("a property");
    let mode = WriteMode::Upsert {
        key: vec![reference],
    };
    let upserted = batch(&schema, 5, vec![row! { reference: "a", quantity: 3 }]);
    write(&storage, mode, vec![upserted])
        .await
        .expect("a session");
    rose("an upsert of another id with the same key");
    let removed = Operation::Delete {
        schema: Arc::clone(&schema),
        id,
        expected: None,
    };
    execute(&storage, vec![removed])
        .await
        .expect("a removed record");
    rose("a delete");
}

/// Each of many writers finds it above what it was before the write, however they share commits.
pub async fn it_rises_under_concurrency(storage: Storage) {
    let schema = orders();
    create(&storage, &schema).await;
    if storage.reader.commit_sequence(&schema).is_none() {
        return;
    }
    let writers = (0..32_u64).map(|writer| {
        let (storage, schema) = (storage.clone(), Arc::clone(&schema));
        tokio::spawn(async move {
            for turn in 0..8_u64 {
                let n = writer * 8 + turn;
                let one = batch(&schema, n, vec![row! { reference: n.to_string() }]);
                let before = number(&storage, &schema);
                if writer % 8 == 0 {
                    insert(&storage, vec![one]).await.expect("a session");
                } else {
                    execute(&storage, vec![Operation::Create(one)])
                        .await
                        .expect("a record");
                }
                assert!(
                    number(&storage, &schema) > before,
                    "write {n} is behind the number"
                );
            }
        })
    });
    for done in join_all(writers).await {
        done.expect("no writer panics");
    }
}
