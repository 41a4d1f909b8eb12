//! The catalog: schemas are created, described and dropped whole.

use std::sync::Arc;

use staffa_domain::ports::{SchemaChange, Storage, StoredSchema};
use staffa_domain::{Operation, RecordQuery, SchemaSnapshot, StorageError, WriteMode};

use crate::builders::batch;
use crate::conformance::support::{all, create, create_with, execute};
use crate::schemas::{all_types, orders, well_production};
use crate::{assert_fails, row};

fn second(first: &SchemaSnapshot) -> Arc<SchemaSnapshot> {
    let mut schema = first.schema().clone();
    schema.description = Some("described".to_owned());
    let ids = first.property_ids().to_vec();
    let next = first.next_property_id();
    Arc::new(SchemaSnapshot::restore(
        schema,
        first.version() + 1,
        ids,
        next,
    ))
}

fn describe(from: &Arc<SchemaSnapshot>) -> SchemaChange {
    SchemaChange::Describe {
        from: Arc::clone(from),
        to: second(from),
        document: "name: described".to_owned(),
    }
}

async fn load(storage: &Storage) -> Vec<StoredSchema> {
    storage.catalog.load().await.expect("the stored schemas")
}

/// A new engine knows no schema.
pub async fn a_new_engine_is_empty(storage: Storage) {
    assert_eq!(load(&storage).await, Vec::new());
}

/// What was created is loaded: name, version and document, in order of names.
pub async fn created_schemas_are_loaded_by_name(storage: Storage) {
    for schema in [well_production(), all_types(), orders()] {
        create(&storage, &schema).await;
    }
    let found: Vec<_> = load(&storage)
        .await
        .into_iter()
        .map(|s| (s.name, s.version, s.document))
        .collect();
    let expected = ["all_types", "orders", "well_production"]
        .map(|name| (name.to_owned(), 1, format!("name: {name}")));
    assert_eq!(found, expected);
}

/// A schema that exists is not created again, and stays as it was.
pub async fn a_schema_is_created_once(storage: Storage) {
    let schema = create_with(&storage, batch(&orders(), 0, vec![row! { reference: "a" }])).await;
    let again = SchemaChange::Create {
        to: Arc::clone(&schema),
        document: "name: other".to_owned(),
    };
    assert_fails!(
        storage.catalog.apply(again).await,
        StorageError::SchemaMoved { .. }
    );
    assert_eq!(load(&storage).await[0].document, "name: orders");
    assert_eq!(all(&storage, &schema).await.len(), 1);
}

/// Describing raises the version and keeps the records.
pub async fn describing_keeps_records(storage: Storage) {
    let first = create_with(&storage, batch(&orders(), 0, vec![row! { reference: "a" }])).await;
    storage
        .catalog
        .apply(describe(&first))
        .await
        .expect("a description");
    let stored = load(&storage).await;
    assert_eq!(
        (stored[0].version, stored[0].document.as_str()),
        (2, "name: described")
    );
    assert_eq!(all(&storage, &second(&first)).await.len(), 1);
}

/// A change from a version that is not stored is refused and changes nothing.
pub async fn a_change_from_an_old_version_is_refused(storage: Storage) {
    let first = orders();
    create(&storage, &first).await;
    storage
        .catalog
        .apply(describe(&first))
        .await
        .expect("a description");
    assert_fails!(
        storage.catalog.apply(describe(&first)).await,
        StorageError::SchemaMoved { .. }
    );
    let from = Arc::clone(&first);
    assert_fails!(
        storage.catalog.apply(SchemaChange::Drop { from }).await,
        StorageError::SchemaMoved { .. }
    );
    assert_eq!(load(&storage).await[0].version, 2);
}

/// Dropping takes schema and records; the name is free again.
pub async fn dropping_frees_the_name(storage: Storage) {
    let schema = create_with(&storage, batch(&orders(), 0, vec![row! { reference: "a" }])).await;
    let from = Arc::clone(&schema);
    storage
        .catalog
        .apply(SchemaChange::Drop { from })
        .await
        .expect("a drop");
    assert_eq!(load(&storage).await, Vec::new());
    create(&storage, &schema).await;
    assert_eq!(all(&storage, &schema).await, Vec::new());
}

/// Reading or writing a schema that is not there says so.
pub async fn an_unknown_schema_is_not_found(storage: Storage) {
    let schema = orders();
    let created = Operation::Create(batch(&schema, 0, vec![row! { reference: "a" }]));
    assert_fails!(
        execute(&storage, vec![created]).await,
        StorageError::SchemaNotFound { .. }
    );
    assert_fails!(
        storage
            .writer
            .begin(&schema, WriteMode::Insert.into())
            .await,
        StorageError::SchemaNotFound { .. }
    );
    assert_fails!(
        storage.reader.count(&schema, None, true).await,
        StorageError::SchemaNotFound { .. }
    );
    assert_fails!(
        storage
            .reader
            .scan(RecordQuery::all(schema))
            .await
            .map(drop),
        StorageError::SchemaNotFound { .. }
    );
}

/// A write checked against an old version is refused.
pub async fn writes_against_a_moved_schema_are_refused(storage: Storage) {
    let first = orders();
    create(&storage, &first).await;
    storage
        .catalog
        .apply(describe(&first))
        .await
        .expect("a description");
    let old = Operation::Create(batch(&first, 0, vec![row! { reference: "a" }]));
    assert_fails!(
        execute(&storage, vec![old]).await,
        StorageError::SchemaMoved { .. }
    );
    assert_fails!(
        storage.writer.begin(&first, WriteMode::Insert.into()).await,
        StorageError::SchemaMoved { .. }
    );
    let new = second(&first);
    let created = Operation::Create(batch(&new, 0, vec![row! { reference: "a" }]));
    execute(&storage, vec![created])
        .await
        .expect("the stored version is taken");
    assert_eq!(all(&storage, &new).await.len(), 1);
}

/// Ensuring a stored schema changes nothing, however often.
pub async fn ensuring_changes_nothing(storage: Storage) {
    let schema = create_with(&storage, batch(&orders(), 0, vec![row! { reference: "a" }])).await;
    for _ in 0..2 {
        storage.catalog.ensure(&schema).await.expect("all is there");
    }
    assert_eq!(all(&storage, &schema).await.len(), 1);
    storage.monitor.probe().await.expect("the engine answers");
}
