//! Pages of many clients at a time.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use futures_util::TryStreamExt;
use staffa_domain::{
    Field, Position, PropertyType, RecordId, RecordQuery, Sort, StorageError, Value,
};
use staffa_duckdb::{Options, open};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::create_with;
use staffa_testkit::row;
use staffa_testkit::schemas::SchemaBuilder;
use tempfile::TempDir;
use tokio::time::timeout;

/// From how many records on an order has fences.
const RECORDS: u32 = 200_000;
const CLIENTS: u32 = 24;

fn level(number: u32) -> f64 {
    f64::from(number) / 8.0
}

/// Every number once, out of the order of the file.
fn turn_over(number: u32) -> u32 {
    let turned = u64::from(number) * 7_919 % u64::from(RECORDS);
    u32::try_from(turned).unwrap()
}

/// Whatever waits together and whoever goes away meanwhile, each client reads its own page.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_their_own_page() {
    let folder = TempDir::new().unwrap();
    let storage = open(Options::new(folder.path())).await.unwrap();
    let schema = SchemaBuilder::new("levels")
        .required("level", PropertyType::Number)
        .snapshot();
    let rows = (0..RECORDS).map(|number| row! { level: level(turn_over(number)) });
    create_with(&storage, batch(&schema, 0, rows.collect())).await;
    let field = Field::Property(0);
    let page = |after: f64| {
        let mut query = RecordQuery::all(Arc::clone(&schema));
        query.sort = vec![Sort {
            field,
            descending: false,
            nulls_first: false,
        }];
        query.limit = Some(20);
        query.after = Some(Position {
            values: vec![Value::Number(after)],
            id: RecordId::from_bytes([0xff; 16]),
        });
        let reader = Arc::clone(&storage.reader);
        async move {
            let found: Vec<_> = reader.scan(query).await?.try_collect().await?;
            let levels = found.iter().flat_map(|batch| {
                let column = batch.column(field.index());
                column.as_primitive::<Float64Type>().values().to_vec()
            });
            Ok::<_, StorageError>(levels.collect::<Vec<f64>>())
        }
    };
    // The first makes the fences, the second tells what a look takes.
    for _ in 0..2 {
        page(0.0).await.unwrap();
    }
    let clients = (0..CLIENTS).map(|client| {
        let asks: Vec<_> = (0..20)
            .map(|turn| {
                let first = (client * 7_001 + turn * 1_013) % (RECORDS - 100);
                (first, page(level(first)))
            })
            .collect();
        tokio::spawn(async move {
            for (first, ask) in asks {
                if first % 7 == 0 {
                    // Gone before the answer, most of the time.
                    drop(timeout(Duration::ZERO, ask).await);
                    continue;
                }
                let levels = ask.await.unwrap();
                let expected: Vec<f64> = (first + 1..=first + 20).map(level).collect();
                assert_eq!(levels, expected);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}
