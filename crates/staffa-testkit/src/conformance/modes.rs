//! The modes of a session: what happens to records whose key is known, and to others.

use std::sync::Arc;

use staffa_domain::ports::Storage;
use staffa_domain::{
    PropertyType, SchemaSnapshot, StampedBatch, StorageError, Timestamp, Value, WriteMode,
    WriteReceipt,
};

use crate::builders::{CREATED, Row, batch, parts, stamped, values};
use crate::conformance::execute::three_orders;
use crate::conformance::support::{all, create_with, write};
use crate::schemas::SchemaBuilder;
use crate::{assert_fails, nth_id, row};

pub(super) const LATER: Timestamp = Timestamp::from_micros(CREATED.as_micros() + 1_000_000);

/// The place of the key, `reference`, in the schema of orders.
pub(super) const KEY: usize = 0;

fn later(schema: &Arc<SchemaSnapshot>, first: u64, rows: Vec<Row>) -> StampedBatch {
    let rows: Vec<_> = rows.into_iter().map(|row| values(schema, row)).collect();
    stamped(schema, first, &rows, LATER)
}

pub(super) fn done(receipt: &WriteReceipt) -> [u64; 4] {
    [
        receipt.inserted,
        receipt.updated,
        receipt.ignored,
        receipt.deleted,
    ]
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// A known key takes all new properties and the next version; an unknown one is added.
pub async fn upsert_adds_or_replaces(storage: Storage) {
    let schema = three_orders(&storage).await;
    let rows = vec![
        row! { reference: "b", quantity: 5 },
        row! { reference: "d", code: 4 },
    ];
    let mode = WriteMode::Upsert { key: vec![KEY] };
    let receipt = write(&storage, mode, vec![later(&schema, 10, rows)]).await;
    assert_eq!(done(&receipt.expect("an upsert")), [1, 1, 0, 0]);
    let records = all(&storage, &schema).await;
    assert_eq!(records.len(), 4);
    let changed = &records[1];
    assert_eq!((changed.id, changed.version), (nth_id(1), 2));
    assert_eq!((changed.created_at, changed.updated_at), (CREATED, LATER));
    assert_eq!(
        changed.values[1],
        Value::Null,
        "an upsert replaces every property"
    );
    assert_eq!(changed.values[4], Value::Integer(5));
    let added = &records[3];
    assert_eq!(
        (added.id, added.version, added.created_at),
        (nth_id(11), 1, LATER)
    );
    assert_eq!(records[0].version, 1, "others stay");
}

/// A known key is left alone; of two new ones the first is kept.
pub async fn ignore_keeps_the_first(storage: Storage) {
    let schema = three_orders(&storage).await;
    let rows = vec![
        row! { reference: "b", quantity: 5 },
        row! { reference: "d", quantity: 6 },
        row! { reference: "d", quantity: 7 },
    ];
    let mode = WriteMode::Ignore { key: vec![KEY] };
    let receipt = write(&storage, mode, vec![later(&schema, 10, rows)]).await;
    assert_eq!(done(&receipt.expect("an ignore")), [1, 0, 2, 0]);
    let records = all(&storage, &schema).await;
    assert_eq!(records.len(), 4);
    assert_eq!(
        (records[1].version, &records[1].values[4]),
        (1, &Value::Null)
    );
    assert_eq!(
        (records[3].id, &records[3].values[4]),
        (nth_id(11), &Value::Integer(6))
    );
}

fn some(schema: &Arc<SchemaSnapshot>, first: u64, rows: Vec<Row>) -> StampedBatch {
    parts(schema, &[KEY], (first, LATER), rows)
}

/// An update changes the given properties, to null too, and keeps the rest.
pub async fn update_sets_what_is_given(storage: Storage) {
    let schema = three_orders(&storage).await;
    let update = |rows| {
        let mode = WriteMode::Update { key: vec![KEY] };
        write(&storage, mode, vec![some(&schema, 10, rows)])
    };
    let first = vec![row! { reference: "b", customer: "Ada", quantity: 5 }];
    assert_eq!(done(&update(first).await.expect("an update")), [0, 1, 0, 0]);
    let record = &all(&storage, &schema).await[1];
    assert_eq!(
        (record.id, record.version, record.updated_at),
        (nth_id(1), 2, LATER)
    );
    assert_eq!(
        record.values[..3],
        [text("b"), Value::Integer(2), text("Ada")]
    );
    let nothing: Option<&str> = None;
    update(vec![
        row! { reference: "b", customer: nothing, quantity: 6 },
    ])
    .await
    .expect("an update");
    let record = &all(&storage, &schema).await[1];
    assert_eq!(record.values[2], Value::Null);
    assert_eq!((record.version, &record.values[4]), (3, &Value::Integer(6)));
}

/// Each record of an update sets its own properties; one that comes again adds to what the
/// earlier one set.
pub async fn each_record_sets_its_own(storage: Storage) {
    let schema = three_orders(&storage).await;
    let nothing: Option<i64> = None;
    let batches = vec![
        some(
            &schema,
            10,
            vec![
                row! { reference: "a", quantity: 1 },
                row! { reference: "b", customer: "Bob" },
                row! { reference: "a", customer: "Ada" },
                row! { reference: "c" },
                row! { reference: "b", quantity: 2, code: nothing },
            ],
        ),
        some(&schema, 20, vec![row! { reference: "a", quantity: 3 }]),
    ];
    let mode = WriteMode::Update { key: vec![KEY] };
    let receipt = write(&storage, mode, batches).await.expect("an update");
    assert_eq!(done(&receipt), [0, 6, 0, 0]);
    let records = all(&storage, &schema).await;
    let found: Vec<_> = records
        .iter()
        .map(|r| (r.version, [&r.values[1], &r.values[2], &r.values[4]]))
        .collect();
    let number = Value::Integer;
    assert_eq!(
        found,
        [
            (4, [&number(1), &text("Ada"), &number(3)]),
            (3, [&Value::Null, &text("Bob"), &number(2)]),
            (2, [&number(3), &Value::Null, &Value::Null]),
        ]
    );
}

/// Parts need not have what a whole record must have: the key alone is needed.
pub async fn parts_need_their_key_alone(storage: Storage) {
    let schema = SchemaBuilder::new("tools")
        .required("name", PropertyType::String)
        .required("price", PropertyType::Integer)
        .property("place", PropertyType::String, |p| {
            p.default = Some(text("shelf"));
        })
        .primary_key(&["name"])
        .snapshot();
    let rows = vec![
        row! { name: "saw", price: 3, place: "wall" },
        row! { name: "axe", price: 4 },
    ];
    create_with(&storage, batch(&schema, 0, rows)).await;
    let update = WriteMode::Update { key: vec![0] };
    let rows = vec![row! { name: "saw", price: 5 }];
    write(&storage, update, vec![some(&schema, 10, rows)])
        .await
        .expect("an update");
    let saw = &all(&storage, &schema).await[0];
    assert_eq!(saw.values, [text("saw"), Value::Integer(5), text("wall")]);
    let delete = WriteMode::Delete { key: vec![0] };
    write(
        &storage,
        delete,
        vec![some(&schema, 10, vec![row! { name: "axe" }])],
    )
    .await
    .expect("a delete");
    assert_eq!(all(&storage, &schema).await.len(), 1);
    let insert = write(
        &storage,
        WriteMode::Insert,
        vec![some(&schema, 10, vec![row! { name: "adze" }])],
    );
    assert_fails!(insert.await, StorageError::Internal(_));
    assert_eq!(all(&storage, &schema).await.len(), 1);
}

/// A delete removes the records with the keys.
pub async fn delete_removes_by_key(storage: Storage) {
    let schema = three_orders(&storage).await;
    let rows = vec![row! { reference: "a" }, row! { reference: "c" }];
    let mode = WriteMode::Delete { key: vec![KEY] };
    let receipt = write(&storage, mode, vec![some(&schema, 10, rows)]).await;
    assert_eq!(done(&receipt.expect("a delete")), [0, 0, 0, 2]);
    let left: Vec<_> = all(&storage, &schema)
        .await
        .iter()
        .map(|record| record.id)
        .collect();
    assert_eq!(left, [nth_id(1)]);
}

/// An update or delete of a key that is not there fails and undoes the session.
pub async fn a_missing_key_undoes_the_session(storage: Storage) {
    let schema = three_orders(&storage).await;
    let before = all(&storage, &schema).await;
    let key = vec![KEY];
    let modes = [
        WriteMode::Update { key: key.clone() },
        WriteMode::Delete { key },
    ];
    for mode in modes {
        let rows = vec![
            row! { reference: "a", quantity: 1 },
            row! { reference: "z" },
        ];
        assert_fails!(
            write(&storage, mode, vec![some(&schema, 10, rows)]).await,
            StorageError::RecordNotFound { operation: 11 }
        );
        assert_eq!(all(&storage, &schema).await, before);
    }
}

/// Of one key given several times, the last wins and each counts as a change.
pub async fn later_records_see_earlier_ones(storage: Storage) {
    let schema = three_orders(&storage).await;
    let rows = |reference: &'static str| {
        let row = move |n: i64| row! { reference: reference, quantity: n };
        (1..=3).map(row).collect::<Vec<_>>()
    };
    let mode = WriteMode::Upsert { key: vec![KEY] };
    let batches = vec![
        later(&schema, 10, rows("b")),
        later(&schema, 20, rows("new")),
    ];
    let receipt = write(&storage, mode, batches).await.expect("an upsert");
    assert_eq!(done(&receipt), [1, 5, 0, 0]);
    let records = all(&storage, &schema).await;
    let found: Vec<_> = [1, 3]
        .map(|at: usize| {
            let record = &records[at];
            (record.id, record.version, record.values[4].clone())
        })
        .to_vec();
    let three = Value::Integer(3);
    assert_eq!(
        found,
        [(nth_id(1), 4, three.clone()), (nth_id(20), 3, three)]
    );
}

/// An upsert by one key that takes another record's unique value fails whole.
pub async fn an_upsert_keeps_other_unique_values(storage: Storage) {
    let schema = three_orders(&storage).await;
    let before = all(&storage, &schema).await;
    let rows = vec![
        row! { reference: "a", code: 9 },
        row! { reference: "b", code: 3 },
    ];
    let mode = WriteMode::Upsert { key: vec![KEY] };
    assert_fails!(
        write(&storage, mode, vec![later(&schema, 10, rows)]).await,
        StorageError::UniqueViolation { violation } if violation.properties == ["code"]
    );
    assert_eq!(all(&storage, &schema).await, before);
}
