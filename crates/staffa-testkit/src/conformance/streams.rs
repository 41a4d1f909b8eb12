//! Streams: one snapshot each, and freed when dropped.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;

use staffa_domain::ports::Storage;
use staffa_domain::{Operation, RecordQuery, SchemaSnapshot};

use crate::builders::{batch, next};
use crate::conformance::support::{all, create_with, execute, scan, sorted};
use crate::record::records_of;
use crate::schemas::orders;
use crate::{nth_id, row};

const RECORDS: u64 = 20_000;

async fn many(storage: &Storage) -> Arc<SchemaSnapshot> {
    let schema = orders();
    let rows = (0..RECORDS)
        .map(|n| row! { reference: n.to_string() })
        .collect();
    create_with(storage, batch(&schema, 0, rows)).await
}

/// A stream under way sees none of the writes made since it began.
pub async fn a_stream_is_one_snapshot(storage: Storage) {
    let schema = many(&storage).await;
    let before = all(&storage, &schema).await;
    let query = sorted(&schema, Vec::new());
    let mut stream = storage.reader.scan(query).await.expect("a stream");
    let first = stream.next().await.expect("a batch").expect("no error");
    let mut found = records_of(&schema, &first);
    let last = nth_id(RECORDS - 1);
    let operations = vec![
        Operation::Delete {
            schema: Arc::clone(&schema),
            id: nth_id(RECORDS - 2),
            expected: None,
        },
        Operation::Replace {
            batch: next(&schema, last, 2, row! { reference: "changed" }),
            expected: 1,
        },
        Operation::Create(batch(&schema, RECORDS, vec![row! { reference: "new" }])),
    ];
    execute(&storage, operations)
        .await
        .expect("a write beside a stream");
    while let Some(batch) = stream.next().await {
        found.extend(records_of(&schema, &batch.expect("no error")));
    }
    assert_eq!(found.len(), before.len());
    assert!(
        found == before,
        "the stream shows what was there when it began"
    );
    assert_eq!(
        all(&storage, &schema).await.last().map(|record| record.id),
        Some(nth_id(RECORDS))
    );
}

/// Two hundred streams dropped midway leave the engine able to read, write and drop.
pub async fn a_dropped_stream_is_freed(storage: Storage) {
    let schema = many(&storage).await;
    for n in 0..200 {
        let query = RecordQuery::all(Arc::clone(&schema));
        let mut stream = storage.reader.scan(query).await.expect("a stream");
        if n % 2 == 0 {
            stream.next().await.expect("a batch").expect("no error");
        }
    }
    let created = Operation::Create(batch(&schema, RECORDS, vec![row! { reference: "new" }]));
    execute(&storage, vec![created]).await.expect("a write");
    let count = storage
        .reader
        .count(&schema, None, true)
        .await
        .expect("a count");
    assert_eq!(count.records, RECORDS + 1);
}

/// A stream in any order holds every record once.
pub async fn an_unordered_stream_is_complete(storage: Storage) {
    let schema = many(&storage).await;
    let found = scan(&storage, RecordQuery::all(Arc::clone(&schema))).await;
    let ids: BTreeSet<_> = found.iter().map(|record| record.id).collect();
    assert_eq!((found.len() as u64, ids.len() as u64), (RECORDS, RECORDS));
}
