//! Short words for what the cases do all the time.

use std::sync::Arc;

use futures_util::TryStreamExt;

use staffa_domain::ports::{SchemaChange, Storage};
use staffa_domain::{
    Field, Filter, Operation, Outcome, RecordQuery, SchemaSnapshot, Sort, StampedBatch,
    StorageError, WriteMode, WriteOptions, WriteReceipt,
};

use crate::record::{Record, selected_layout, selected_of};

/// Makes a schema known to the engine.
pub async fn create(storage: &Storage, schema: &Arc<SchemaSnapshot>) {
    let change = SchemaChange::Create {
        to: Arc::clone(schema),
        document: format!("name: {}", schema.name()),
    };
    storage.catalog.apply(change).await.expect("a new schema");
}

/// Makes a schema known and stores records in it.
pub async fn create_with(storage: &Storage, batch: StampedBatch) -> Arc<SchemaSnapshot> {
    let schema = Arc::clone(batch.schema());
    create(storage, &schema).await;
    insert(storage, vec![batch]).await.expect("new records");
    schema
}

/// Carries out operations.
pub async fn execute(
    storage: &Storage,
    operations: Vec<Operation>,
) -> Result<Outcome, StorageError> {
    storage.writer.execute(operations).await
}

/// Writes batches through one session.
pub async fn write(
    storage: &Storage,
    options: impl Into<WriteOptions>,
    batches: Vec<StampedBatch>,
) -> Result<WriteReceipt, StorageError> {
    let schema = Arc::clone(batches[0].schema());
    let mut session = storage.writer.begin(&schema, options.into()).await?;
    for batch in batches {
        session.append(batch).await?;
    }
    session.commit(Vec::new()).await
}

/// Adds batches through one session.
pub async fn insert(
    storage: &Storage,
    batches: Vec<StampedBatch>,
) -> Result<WriteReceipt, StorageError> {
    write(storage, WriteMode::Insert, batches).await
}

/// The answer to a query; every batch must be laid out as promised.
pub async fn scan(storage: &Storage, query: RecordQuery) -> Vec<Record> {
    let (schema, selected) = (Arc::clone(&query.schema), query.selected());
    let layout = selected_layout(&schema, &selected);
    let stream = storage.reader.scan(query).await.expect("a stream");
    let batches: Vec<_> = stream.try_collect().await.expect("a complete stream");
    let mut records = Vec::new();
    for batch in batches {
        assert_eq!(
            batch.schema(),
            layout,
            "a batch has the layout of its query"
        );
        records.extend(selected_of(&schema, &selected, &batch));
    }
    records
}

/// All records of a schema by their ids.
pub async fn all(storage: &Storage, schema: &Arc<SchemaSnapshot>) -> Vec<Record> {
    scan(storage, sorted(schema, Vec::new())).await
}

/// Which records, by their places in [`all`], match a filter; `count` must agree.
pub async fn matching(
    storage: &Storage,
    schema: &Arc<SchemaSnapshot>,
    filter: Filter,
) -> Vec<Record> {
    let count = storage.reader.count(schema, Some(&filter), true).await;
    let mut query = sorted(schema, Vec::new());
    query.filter = Some(filter.clone());
    let found = scan(storage, query).await;
    let count = count.expect("a count");
    assert!(count.exact, "an exact count was asked for");
    assert_eq!(
        count.records,
        found.len() as u64,
        "count and scan agree on {filter:?}"
    );
    found
}

/// A query for all records in an order.
pub fn sorted(schema: &Arc<SchemaSnapshot>, sort: Vec<Sort>) -> RecordQuery {
    let mut query = RecordQuery::all(Arc::clone(schema));
    query.sort = sort;
    query.ordered = true;
    query
}

/// The field with a name.
pub fn field(schema: &SchemaSnapshot, name: &str) -> Field {
    Field::find(schema, name).unwrap_or_else(|| panic!("there is no field {name}"))
}

/// Fails unless two lists hold the same records, to the last bit and in order.
#[track_caller]
pub fn assert_identical(found: &[Record], expected: &[Record]) {
    assert_eq!(found.len(), expected.len(), "as many records as expected");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.is_identical(expected),
            "{found:?}\nis not {expected:?}"
        );
    }
}

/// Fails unless an answer is the error that the pattern describes.
#[macro_export]
macro_rules! assert_fails {
    ($answer:expr, $pattern:pat $(if $guard:expr)?) => {
        match $answer {
            Err($pattern) $(if $guard)? => {}
            other => panic!("expected {}, found {other:?}", stringify!($pattern)),
        }
    };
}
