//! Short lists of operations: all or nothing, in order, versions checked.

use std::sync::Arc;

use staffa_domain::ports::Storage;
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{Filter, Operation, SchemaSnapshot, StorageError, Value};

use crate::builders::{CREATED, Row, batch, next, valid, values};
use crate::conformance::support::{all, create, create_with, execute, field};
use crate::schemas::{all_types, orders};
use crate::{assert_fails, nth_id, row};

/// Three orders, a to c, with codes 1 to 3 and ids 0 to 2.
pub(super) async fn three_orders(storage: &Storage) -> Arc<SchemaSnapshot> {
    let rows = vec![
        row! { reference: "a", code: 1 },
        row! { reference: "b", code: 2 },
        row! { reference: "c", code: 3 },
    ];
    create_with(storage, batch(&orders(), 0, rows)).await
}

fn replace(schema: &Arc<SchemaSnapshot>, n: u64, expected: i64, reference: &str) -> Operation {
    let row = row! { reference: reference };
    Operation::Replace {
        batch: next(schema, nth_id(n), expected + 1, row),
        expected,
    }
}

fn delete(schema: &Arc<SchemaSnapshot>, n: u64, expected: Option<i64>) -> Operation {
    Operation::Delete {
        schema: Arc::clone(schema),
        id: nth_id(n),
        expected,
    }
}

fn create_one(schema: &Arc<SchemaSnapshot>, n: u64, reference: &str) -> Operation {
    Operation::Create(batch(schema, n, vec![row! { reference: reference }]))
}

/// What was acknowledged is read at once, and commits are numbered upwards.
pub async fn a_write_is_read_at_once(storage: Storage) {
    let schema = orders();
    create(&storage, &schema).await;
    let mut last = 0;
    for n in 0..20 {
        let operation = create_one(&schema, n, &n.to_string());
        let outcome = execute(&storage, vec![operation])
            .await
            .expect("a new record");
        assert!(n == 0 || outcome.commit > last, "commits rise");
        last = outcome.commit;
        assert_eq!(all(&storage, &schema).await.len() as u64, n + 1);
    }
}

/// A replaced record keeps its id and creation and takes the new version and properties.
pub async fn a_replace_keeps_identity(storage: Storage) {
    let schema = three_orders(&storage).await;
    execute(&storage, vec![replace(&schema, 1, 1, "new")])
        .await
        .expect("a replace");
    let records = all(&storage, &schema).await;
    let changed = &records[1];
    assert_eq!((changed.id, changed.version), (nth_id(1), 2));
    assert_eq!(changed.created_at, records[0].created_at);
    assert!(changed.updated_at > changed.created_at);
    assert_eq!(
        changed.values[..2],
        [Value::String("new".to_owned()), Value::Null]
    );
    assert_eq!((records[0].version, records[2].version), (1, 1));
}

/// A deleted record is gone, whether or not a version was expected.
pub async fn deletes_remove(storage: Storage) {
    let schema = three_orders(&storage).await;
    let operations = vec![delete(&schema, 0, None), delete(&schema, 2, Some(1))];
    execute(&storage, operations).await.expect("two deletes");
    let left: Vec<_> = all(&storage, &schema)
        .await
        .iter()
        .map(|record| record.id)
        .collect();
    assert_eq!(left, [nth_id(1)]);
}

/// A wrong version names the operation and the version there is; nothing is done.
pub async fn a_version_mismatch_is_named(storage: Storage) {
    let schema = three_orders(&storage).await;
    let wrong = [replace(&schema, 1, 7, "x"), delete(&schema, 1, Some(7))];
    for operation in wrong {
        let operations = vec![delete(&schema, 0, None), operation];
        assert_fails!(
            execute(&storage, operations).await,
            StorageError::VersionMismatch {
                operation: 1,
                current: 1
            }
        );
    }
    assert_eq!(all(&storage, &schema).await.len(), 3);
}

/// A record that is not there names the operation; nothing is done.
pub async fn a_missing_record_is_named(storage: Storage) {
    let schema = three_orders(&storage).await;
    let missing = [
        replace(&schema, 9, 1, "x"),
        delete(&schema, 9, None),
        delete(&schema, 9, Some(1)),
    ];
    for operation in missing {
        let operations = vec![
            create_one(&schema, 5, "e"),
            delete(&schema, 0, None),
            operation,
        ];
        assert_fails!(
            execute(&storage, operations).await,
            StorageError::RecordNotFound { operation: 2 }
        );
    }
    assert_eq!(all(&storage, &schema).await.len(), 3);
}

/// Later operations of a list see earlier ones.
pub async fn operations_see_earlier_ones(storage: Storage) {
    let schema = orders();
    create(&storage, &schema).await;
    let operations = vec![
        create_one(&schema, 0, "a"),
        replace(&schema, 0, 1, "b"),
        replace(&schema, 0, 2, "c"),
        delete(&schema, 0, Some(3)),
        create_one(&schema, 1, "a"),
        create_one(&schema, 2, "c"),
        replace(&schema, 2, 1, "d"),
    ];
    execute(&storage, operations)
        .await
        .expect("a list in order");
    let records = all(&storage, &schema).await;
    let found: Vec<_> = records
        .iter()
        .map(|r| (r.id, r.version, r.values[0].to_string()))
        .collect();
    let expected = [
        (nth_id(1), 1, "\"a\"".to_owned()),
        (nth_id(2), 2, "\"d\"".to_owned()),
    ];
    assert_eq!(found, expected);
}

/// A list over two schemas fails whole.
pub async fn a_list_across_schemas_fails_whole(storage: Storage) {
    let schema = three_orders(&storage).await;
    let other = all_types();
    create(&storage, &other).await;
    let created = Operation::Create(batch(&other, 0, vec![row! { a_integer: 1 }]));
    let operations = vec![
        created.clone(),
        delete(&schema, 0, None),
        delete(&schema, 9, None),
    ];
    assert_fails!(
        execute(&storage, operations).await,
        StorageError::RecordNotFound { operation: 2 }
    );
    assert_eq!(all(&storage, &other).await, Vec::new());
    assert_eq!(all(&storage, &schema).await.len(), 3);
    execute(&storage, vec![created, delete(&schema, 0, None)])
        .await
        .expect("both schemas");
    assert_eq!(all(&storage, &other).await.len(), 1);
    assert_eq!(all(&storage, &schema).await.len(), 2);
}

/// An assertion that fails names the operation and undoes the list; one that holds does not.
pub async fn assertions_guard_a_list(storage: Storage) {
    let schema = three_orders(&storage).await;
    let assert = |code: i64, exists: bool| {
        let test = Test::Compare(Comparison::Eq, Value::Integer(code));
        Operation::Assert {
            schema: Arc::clone(&schema),
            filter: Some(Filter::condition(field(&schema, "code"), test)),
            exists,
        }
    };
    for failing in [assert(9, true), assert(2, false)] {
        let operations = vec![delete(&schema, 0, None), failing];
        assert_fails!(
            execute(&storage, operations).await,
            StorageError::AssertionFailed { operation: 1 }
        );
    }
    let operations = vec![
        assert(2, true),
        assert(9, false),
        delete(&schema, 1, None),
        assert(2, false),
    ];
    execute(&storage, operations)
        .await
        .expect("all assertions hold");
    assert_eq!(all(&storage, &schema).await.len(), 2);
}

/// A record with the `n`th id that stands at `place` in its request.
fn placed(schema: &Arc<SchemaSnapshot>, n: u64, place: u64, row: Row) -> Operation {
    let row = values(schema, row);
    Operation::Create(valid(schema, &[row], place).stamp(&[nth_id(n)], CREATED))
}

/// A taken unique value names the record and its properties, wherever it is taken.
pub async fn unique_values_are_kept(storage: Storage) {
    let schema = three_orders(&storage).await;
    let create = |n, place, reference, code| {
        placed(&schema, n, place, row! { reference: reference, code: code })
    };
    let renamed = values(&schema, row! { reference: "c" });
    let renamed = Operation::Replace {
        batch: valid(&schema, &[renamed], 1).stamp_next(nth_id(1), CREATED, CREATED, 2),
        expected: 1,
    };
    let cases = [
        (vec![create(5, 0, "a", 9)], 0, "reference"),
        (vec![create(5, 0, "x", 2)], 0, "code"),
        (vec![create(0, 0, "x", 9)], 0, "id"),
        (
            vec![create(5, 0, "x", 9), create(6, 1, "x", 8)],
            1,
            "reference",
        ),
        (vec![create(5, 0, "x", 9), renamed], 1, "reference"),
    ];
    for (operations, index, property) in cases {
        assert_fails!(
            execute(&storage, operations).await,
            StorageError::UniqueViolation { violation }
                if violation.index == Some(index) && violation.properties == [property]
        );
    }
    assert_eq!(all(&storage, &schema).await.len(), 3);
}

/// Of a batch in one operation, a violation names the record as its request counts it, or
/// none where the engine cannot tell, but never another one.
pub async fn a_violation_names_no_other_record(storage: Storage) {
    let schema = three_orders(&storage).await;
    for references in [["x", "b", "y"], ["x", "x", "y"]] {
        let rows = references.map(|reference| values(&schema, row! { reference: reference }));
        let records = valid(&schema, &rows, 10).stamp(&[5, 6, 7].map(nth_id), CREATED);
        assert_fails!(
            execute(&storage, vec![Operation::Create(records)]).await,
            StorageError::UniqueViolation { violation }
                if matches!(violation.index, None | Some(11))
                    && violation.properties == ["reference"]
        );
    }
    assert_eq!(all(&storage, &schema).await.len(), 3);
}

/// Nulls never collide, and a record may be replaced with its own unique values.
pub async fn nulls_and_own_values_do_not_collide(storage: Storage) {
    let schema = three_orders(&storage).await;
    let operations = vec![
        create_one(&schema, 5, "x"),
        create_one(&schema, 6, "y"),
        replace(&schema, 1, 1, "b"),
    ];
    execute(&storage, operations).await.expect("no collision");
    assert_eq!(all(&storage, &schema).await.len(), 5);
}
