//! Records that a session refuses: told with their places, and what becomes of the others.

use std::sync::Arc;

use staffa_domain::batch::Origin;
use staffa_domain::ports::Storage;
use staffa_domain::{
    DecodedBatch, OnRefusal, RecordId, Refusal, RefusalReason, SchemaSnapshot, StampedBatch,
    StorageError, Value, WriteMode, WriteOptions, WriteReceipt, validate,
};

use crate::builders::{Row, decoded, parts, values};
use crate::conformance::execute::three_orders;
use crate::conformance::modes::{KEY, LATER, done};
use crate::conformance::support::{all, write};
use crate::{assert_fails, nth_id, row};

const SKIP: OnRefusal = OnRefusal::Skip { told_max: 100 };

/// Whole records that stand at `first` in their request, on the lines after that.
fn lined(schema: &Arc<SchemaSnapshot>, first: u64, rows: Vec<Row>) -> StampedBatch {
    let rows: Vec<_> = rows.into_iter().map(|row| values(schema, row)).collect();
    let ids: Vec<RecordId> = (first..).take(rows.len()).map(nth_id).collect();
    let batch = DecodedBatch {
        origin: Origin {
            first,
            lines: Some((first + 1..).take(rows.len()).collect()),
        },
        ..decoded(schema, &rows, first)
    };
    validate(batch).0.stamp(&ids, LATER)
}

fn some(schema: &Arc<SchemaSnapshot>, first: u64, rows: Vec<Row>) -> StampedBatch {
    parts(schema, &[KEY], (first, LATER), rows)
}

fn with(mode: WriteMode, on_refusal: OnRefusal) -> WriteOptions {
    WriteOptions {
        on_refusal,
        ..mode.into()
    }
}

fn taken(index: u64, property: &str) -> Refusal {
    Refusal {
        index,
        line: Some(index + 1),
        reason: RefusalReason::Taken(vec![property.to_owned()]),
    }
}

fn missing(index: u64) -> Refusal {
    Refusal {
        index,
        line: Some(index + 1),
        reason: RefusalReason::Missing,
    }
}

#[track_caller]
fn check(receipt: &WriteReceipt, counts: [u64; 4], refusals: &[Refusal]) {
    assert_eq!(done(receipt), counts);
    assert_eq!(receipt.refusals, refusals);
    assert_eq!(receipt.refused, refusals.len() as u64);
}

/// The references of all records with their codes, by reference.
async fn codes(storage: &Storage, schema: &Arc<SchemaSnapshot>) -> Vec<(String, Option<i64>)> {
    let records = all(storage, schema).await;
    let pair = |values: &[Value]| match (&values[0], &values[1]) {
        (Value::String(reference), Value::Integer(code)) => (reference.clone(), Some(*code)),
        (Value::String(reference), Value::Null) => (reference.clone(), None),
        other => panic!("no order: {other:?}"),
    };
    let mut found: Vec<_> = records.iter().map(|record| pair(&record.values)).collect();
    found.sort();
    found
}

fn pairs(pairs: &[(&str, i64)]) -> Vec<(String, Option<i64>)> {
    let pair = |(reference, code): &(&str, i64)| ((*reference).to_owned(), Some(*code));
    pairs.iter().map(pair).collect()
}

/// Two batches, in the order of which: a new record, a stored reference, a stored code, the
/// first reference again; a record that the third one had refused, the first reference once
/// more, a new record.
fn with_duplicates(schema: &Arc<SchemaSnapshot>) -> Vec<StampedBatch> {
    vec![
        lined(
            schema,
            10,
            vec![
                row! { reference: "x", code: 10 },
                row! { reference: "b", code: 11 },
                row! { reference: "y", code: 3 },
                row! { reference: "x", code: 12 },
            ],
        ),
        lined(
            schema,
            20,
            vec![
                row! { reference: "y", code: 11 },
                row! { reference: "x", code: 13 },
                row! { reference: "z", code: 12 },
            ],
        ),
    ]
}

fn of_duplicates() -> [Refusal; 4] {
    [
        taken(11, "reference"),
        taken(12, "code"),
        taken(13, "reference"),
        taken(21, "reference"),
    ]
}

/// New records whose values are taken are left out, and take nothing themselves.
pub async fn taken_values_are_left_out(storage: Storage) {
    let schema = three_orders(&storage).await;
    let receipt = write(
        &storage,
        with(WriteMode::Insert, SKIP),
        with_duplicates(&schema),
    )
    .await
    .expect("a session without them");
    check(&receipt, [3, 0, 0, 0], &of_duplicates());
    let expected = [
        ("a", 1),
        ("b", 2),
        ("c", 3),
        ("x", 10),
        ("y", 11),
        ("z", 12),
    ];
    assert_eq!(codes(&storage, &schema).await, pairs(&expected));
}

/// All refused records are told, and nothing is stored.
pub async fn undone_sessions_tell_all(storage: Storage) {
    let schema = three_orders(&storage).await;
    let before = all(&storage, &schema).await;
    let undo = OnRefusal::Undo { told_max: 100 };
    let receipt = write(
        &storage,
        with(WriteMode::Insert, undo),
        with_duplicates(&schema),
    )
    .await
    .expect("a session that is undone");
    check(&receipt, [0, 0, 0, 0], &of_duplicates());
    let rows = vec![row! { reference: "a", code: 9 }, row! { reference: "z" }];
    let update = WriteMode::Update { key: vec![KEY] };
    let receipt = write(&storage, with(update, undo), vec![some(&schema, 10, rows)])
        .await
        .expect("a session that is undone");
    check(&receipt, [0, 0, 0, 0], &[missing(11)]);
    assert_eq!(all(&storage, &schema).await, before);
    let good = vec![lined(&schema, 30, vec![row! { reference: "d", code: 4 }])];
    let receipt = write(&storage, with(WriteMode::Insert, undo), good).await;
    check(&receipt.expect("a session"), [1, 0, 0, 0], &[]);
    assert_eq!(all(&storage, &schema).await.len(), 4);
}

/// Refusals beyond the number asked for are counted only.
pub async fn only_so_many_are_told(storage: Storage) {
    let schema = three_orders(&storage).await;
    let skip = OnRefusal::Skip { told_max: 2 };
    let options = with(WriteMode::Insert, skip);
    let receipt = write(&storage, options, with_duplicates(&schema))
        .await
        .expect("a session");
    assert_eq!((receipt.refused, receipt.inserted), (4, 3));
    assert_eq!(receipt.refusals, of_duplicates()[..2]);
    let rows = ["u", "a", "v", "w"].map(|reference| row! { reference: reference });
    let options = with(WriteMode::Delete { key: vec![KEY] }, skip);
    let receipt = write(&storage, options, vec![some(&schema, 40, rows.to_vec())])
        .await
        .expect("a session");
    assert_eq!((receipt.refused, receipt.deleted), (3, 1));
    assert_eq!(receipt.refusals, [missing(40), missing(42)]);
}

/// Changes of records that are not there are left out; one removed before is not there.
pub async fn missing_keys_are_left_out(storage: Storage) {
    let schema = three_orders(&storage).await;
    let rows = || {
        let references = ["a", "z", "b", "a"];
        let row = |(n, reference): (i64, &'static str)| row! { reference: reference, quantity: n };
        let batch = |first, range: std::ops::Range<usize>| {
            let rows = (0..).zip(references).map(row).collect::<Vec<_>>();
            some(&schema, first, rows[range].to_vec())
        };
        vec![batch(10, 0..3), batch(20, 3..4)]
    };
    let key = || vec![KEY];
    let update = with(WriteMode::Update { key: key() }, SKIP);
    let receipt = write(&storage, update, rows()).await.expect("an update");
    check(&receipt, [0, 3, 0, 0], &[missing(11)]);
    let records = all(&storage, &schema).await;
    let versions: Vec<_> = records
        .iter()
        .map(|r| (r.version, r.values[4].clone()))
        .collect();
    let number = Value::Integer;
    assert_eq!(versions, [(3, number(3)), (2, number(2)), (1, Value::Null)]);
    let delete = with(WriteMode::Delete { key: key() }, SKIP);
    let receipt = write(&storage, delete, rows()).await.expect("a delete");
    check(&receipt, [0, 0, 0, 2], &[missing(11), missing(20)]);
    assert_eq!(codes(&storage, &schema).await, pairs(&[("c", 3)]));
}

/// A change by one key that takes another record's value is left out; what an accepted one
/// frees may be taken after it.
pub async fn changes_that_take_other_values_are_left_out(storage: Storage) {
    let schema = three_orders(&storage).await;
    let rows = vec![
        row! { reference: "a", code: 9 },
        row! { reference: "b", code: 3 },
        row! { reference: "d", code: 9 },
        row! { reference: "c", code: 8 },
        row! { reference: "e", code: 3 },
    ];
    let refused = [taken(11, "code"), taken(12, "code")];
    let upsert = with(WriteMode::Upsert { key: vec![KEY] }, SKIP);
    let receipt = write(&storage, upsert, vec![lined(&schema, 10, rows)])
        .await
        .expect("an upsert");
    check(&receipt, [1, 2, 0, 0], &refused);
    let expected = pairs(&[("a", 9), ("b", 2), ("c", 8), ("e", 3)]);
    assert_eq!(codes(&storage, &schema).await, expected);
    let rows = vec![
        row! { reference: "a", code: 7 },
        row! { reference: "b", code: 8 },
        row! { reference: "c", code: 9 },
    ];
    let update = with(WriteMode::Update { key: vec![KEY] }, SKIP);
    let receipt = write(&storage, update, vec![some(&schema, 10, rows)])
        .await
        .expect("an update");
    check(&receipt, [0, 2, 0, 0], &[taken(11, "code")]);
    let expected = pairs(&[("a", 7), ("b", 2), ("c", 9), ("e", 3)]);
    assert_eq!(codes(&storage, &schema).await, expected);
    let rows = vec![
        row! { reference: "b", code: 100 },
        row! { reference: "f", code: 3 },
        row! { reference: "g", code: 4 },
        row! { reference: "f", code: 5 },
        row! { reference: "g", code: 6 },
    ];
    let ignore = with(WriteMode::Ignore { key: vec![KEY] }, SKIP);
    let receipt = write(&storage, ignore, vec![lined(&schema, 20, rows)])
        .await
        .expect("an ignore");
    check(&receipt, [2, 0, 2, 0], &[taken(21, "code")]);
    let expected = [("a", 7), ("b", 2), ("c", 9), ("e", 3), ("f", 5), ("g", 4)];
    assert_eq!(codes(&storage, &schema).await, pairs(&expected));
}

/// Where asked for, the receipt tells the id of each record that was not refused.
pub async fn ids_are_told_in_order(storage: Storage) {
    let schema = three_orders(&storage).await;
    let tell = |mode, on_refusal| WriteOptions {
        mode,
        on_refusal,
        tells_ids: true,
        turn_within: None,
    };
    let key = || vec![KEY];
    let ids = |ids: &[u64]| ids.iter().copied().map(nth_id).collect::<Vec<_>>();
    let rows = vec![
        row! { reference: "d", code: 4 },
        row! { reference: "b", code: 5 },
        row! { reference: "e", code: 5 },
    ];
    let insert = tell(WriteMode::Insert, SKIP);
    let receipt = write(&storage, insert, vec![lined(&schema, 10, rows)]).await;
    assert_eq!(receipt.expect("an insert").ids, ids(&[10, 12]));
    let references = ["e", "f", "b", "f"];
    let rows = || {
        references
            .map(|reference| row! { reference: reference })
            .to_vec()
    };
    let ignore = tell(WriteMode::Ignore { key: key() }, OnRefusal::Fail);
    let receipt = write(&storage, ignore, vec![lined(&schema, 20, rows())]).await;
    assert_eq!(receipt.expect("an ignore").ids, ids(&[12, 21, 1, 21]));
    let upsert = tell(WriteMode::Upsert { key: key() }, SKIP);
    let receipt = write(&storage, upsert, vec![lined(&schema, 30, rows())]).await;
    assert_eq!(receipt.expect("an upsert").ids, ids(&[12, 21, 1, 21]));
    let update = tell(WriteMode::Update { key: key() }, OnRefusal::Fail);
    let receipt = write(&storage, update, vec![some(&schema, 40, rows())]).await;
    assert_eq!(receipt.expect("an update").ids, ids(&[12, 21, 1, 21]));
    let delete = tell(WriteMode::Delete { key: key() }, SKIP);
    let receipt = write(&storage, delete, vec![some(&schema, 50, rows())]).await;
    assert_eq!(receipt.expect("a delete").ids, ids(&[12, 21, 1]));
    let plain = write(
        &storage,
        WriteMode::Insert,
        vec![lined(&schema, 60, vec![row! { reference: "h" }])],
    );
    assert_eq!(plain.await.expect("an insert").ids, Vec::new());
}

/// A session that was told nothing else fails at the first refused record, and names it by
/// index and line.
pub async fn a_session_fails_at_the_first(storage: Storage) {
    let schema = three_orders(&storage).await;
    let before = all(&storage, &schema).await;
    let rows = vec![
        row! { reference: "x", code: 10 },
        row! { reference: "b", code: 11 },
    ];
    assert_fails!(
        write(&storage, WriteMode::Insert, vec![lined(&schema, 10, rows)]).await,
        StorageError::UniqueViolation { violation }
            if (violation.index, violation.line) == (Some(11), Some(12))
                && violation.properties == ["reference"]
    );
    assert_eq!(all(&storage, &schema).await, before);
}
