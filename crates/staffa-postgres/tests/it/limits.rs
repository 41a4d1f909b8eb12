//! What this engine alone cannot hold or keeps apart.

use std::sync::Arc;

use staffa_domain::ports::SchemaChange;
use staffa_domain::{Operation, StorageError};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{create, execute};
use staffa_testkit::row;
use staffa_testkit::schemas::orders;

use crate::harness::with_database;

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
