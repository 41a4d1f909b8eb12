//! Questions that need more memory than the engine may use, spilled bytes included: each is
//! refused as such, and the engine serves on.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use staffa_domain::error::Unavailable;
use staffa_domain::ports::{EngineState, Storage};
use staffa_domain::query::{Aggregate, Metric, MetricKind, Sort};
use staffa_domain::{Operation, PropertyType, SchemaSnapshot, StorageError};
use staffa_duckdb::{Options, open};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{create, execute, field, insert, sorted};
use staffa_testkit::row;
use staffa_testkit::schemas::SchemaBuilder;
use tempfile::TempDir;

const RECORDS: u64 = 300_000;
/// As much as the engine needs for what is small, and less than all the texts take.
const MEMORY: u64 = 32 << 20;
const SPILLED: u64 = 1 << 20;

async fn filled(storage: &Storage) -> Arc<SchemaSnapshot> {
    let schema = SchemaBuilder::new("texts")
        .optional("text", PropertyType::String)
        .snapshot();
    create(storage, &schema).await;
    // In no order, and in no way that packs them well.
    let mixed = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31);
    let row = |n: u64| {
        let parts = (0..12).map(|part| mixed(mixed(n) ^ mixed(part)));
        let text: Vec<String> = parts.map(|part| format!("{part:016x}")).collect();
        row! { text: text.concat() }
    };
    let firsts = (0..RECORDS).step_by(10_000);
    let batches = firsts.map(|first| {
        let rows = (first..first + 10_000).map(row).collect();
        batch(&schema, first, rows)
    });
    insert(storage, batches.collect()).await.unwrap();
    schema
}

#[track_caller]
fn check_too_much(outcome: Result<usize, StorageError>) {
    assert!(
        matches!(
            outcome,
            Err(StorageError::Unavailable(Unavailable::OutOfMemory))
        ),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_need_too_much_memory_are_refused() {
    let folder = TempDir::new().unwrap();
    let options = Options {
        memory_limit: Some(MEMORY),
        max_temp_bytes: SPILLED,
        threads: 2,
        ..Options::new(folder.path())
    };
    let storage = open(options).await.unwrap();
    let schema = filled(&storage).await;
    let distinct = Aggregate {
        schema: Arc::clone(&schema),
        filter: None,
        group_by: Vec::new(),
        metrics: vec![Metric {
            name: "texts".to_owned(),
            kind: MetricKind::CountDistinct,
            field: Some(field(&schema, "text")),
        }],
        having: Vec::new(),
        sort: Vec::new(),
        limit: 10,
    };
    let order = Sort {
        field: field(&schema, "text"),
        descending: false,
        nulls_first: false,
    };
    for _ in 0..2 {
        let counted = storage.reader.aggregate(distinct.clone()).await;
        check_too_much(counted.map(|counted| counted.num_rows()));
        let all = sorted(&schema, vec![order]);
        let sorted = match storage.reader.scan(all).await {
            Ok(batches) => {
                batches
                    .try_fold(0, async |count, batch| Ok(count + batch.num_rows()))
                    .await
            }
            Err(error) => Err(error),
        };
        check_too_much(sorted);
        // What is small goes on, and nothing has to be opened again.
        assert_eq!(storage.monitor.state(), EngineState::Ready);
        let count = storage.reader.count(&schema, None, true).await.unwrap();
        assert!(count.records >= RECORDS);
    }
    let one = batch(&schema, RECORDS, vec![row! { text: "one more" }]);
    execute(&storage, vec![Operation::Create(one)])
        .await
        .unwrap();
    let count = storage.reader.count(&schema, None, true).await.unwrap();
    assert_eq!(count.records, RECORDS + 1);
    storage.monitor.close().await;
}
