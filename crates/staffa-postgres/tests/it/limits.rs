//! What this engine alone cannot hold or keeps apart.

use std::sync::Arc;

use staffa_domain::ports::SchemaChange;
use staffa_domain::{Operation, PropertyType, SchemaSnapshot, StorageError};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{create, execute};
use staffa_testkit::row;
use staffa_testkit::schemas::{SchemaBuilder, orders};

use crate::harness::with_database;

fn notes() -> Arc<SchemaSnapshot> {
    SchemaBuilder::new("notes")
        .optional("text", PropertyType::String)
        .snapshot()
}

#[test]
fn what_an_index_cannot_hold_is_unsupported() {
    with_database(async |storage, _| {
        let schema = orders();
        create(&storage, &schema).await;
        // Too irregular to be compressed below the limit of an index.
        let mut state = 1_u32;
        let long: String = (0..20_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b'!' + u8::try_from(state >> 26).expect("six bits"))
            })
            .collect();
        let given = batch(&schema, 0, vec![row! { reference: long }]);
        let answer = execute(&storage, vec![Operation::Create(given)]).await;
        assert!(
            matches!(answer, Err(StorageError::Unsupported(_))),
            "{answer:?}"
        );
    });
}

#[test]
fn a_table_made_anew_is_served_through_old_connections() {
    with_database(async |storage, _| {
        let schema = orders();
        for round in 0..3_u64 {
            create(&storage, &schema).await;
            let created = batch(&schema, round, vec![row! { reference: "a" }]);
            execute(&storage, vec![Operation::Create(created.clone())])
                .await
                .expect("a write");
            let found = storage
                .reader
                .get(&schema, &[created.id(0)])
                .await
                .expect("a read");
            assert_eq!(found.num_rows(), 1);
            let from = Arc::clone(&schema);
            storage
                .catalog
                .apply(SchemaChange::Drop { from })
                .await
                .expect("a drop");
        }
    });
}

/// By its size alone the table looks as if it had a hundred thousand.
#[test]
fn few_large_records_are_not_guessed_to_be_many() {
    with_database(async |storage, database| {
        let schema = notes();
        create(&storage, &schema).await;
        let client = database.connect().await;
        // So that nobody analyzes it meanwhile.
        let settings = "ALTER TABLE records.notes SET (autovacuum_enabled = false)";
        client.batch_execute(settings).await.expect("a setting");
        let text = "x".repeat(1_500);
        for first in (0..8_000).step_by(1_000) {
            let rows = (first..first + 1_000).map(|n| row! { text: format!("{n} {text}") });
            let given = batch(&schema, first, rows.collect());
            execute(&storage, vec![Operation::Create(given)])
                .await
                .expect("a write");
        }
        let count = storage.reader.count(&schema, None, false).await;
        assert_eq!(count.expect("a count").records, 8_000);
    });
}

/// From its first pages, which are as full as the others.
#[test]
fn many_records_that_nobody_counted_are_guessed() {
    with_database(async |storage, database| {
        let schema = notes();
        create(&storage, &schema).await;
        let client = database.connect().await;
        let fill = "ALTER TABLE records.notes SET (autovacuum_enabled = false); \
             INSERT INTO records.notes \
             SELECT gen_random_uuid(), now(), now(), 1, repeat('x', 1 + n % 40) \
             FROM generate_series(1, 150000) AS n";
        client.batch_execute(fill).await.expect("records");
        let count = storage.reader.count(&schema, None, false).await;
        let count = count.expect("a count");
        assert!(!count.exact);
        assert!((140_000..160_000).contains(&count.records), "{count:?}");
    });
}
