//! Reads by id, selections, counts, and schemas without a record.

use std::sync::Arc;

use futures_util::TryStreamExt;
use staffa_domain::ports::Storage;
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{Field, Filter, RecordId, Sort, StorageError, Value};

use crate::builders::{batch, numbered};
use crate::conformance::support::{
    all, assert_identical, create, create_with, field, matching, scan, sorted,
};
use crate::conformance::values::edge_rows;
use crate::record::records_of;
use crate::schemas::{all_types, orders};
use crate::{assert_fails, nth_id, row};

/// Missing ids are left out, an id named twice comes once, records come whole.
pub async fn get_answers_what_is_there(storage: Storage) {
    let schema = all_types();
    let rows = edge_rows(&schema);
    create_with(&storage, numbered(&schema, 0, &rows)).await;
    let ids = [nth_id(2), nth_id(900), nth_id(0), nth_id(2)];
    let found = storage
        .reader
        .get(&schema, &ids)
        .await
        .expect("records by id");
    assert_eq!(&found.schema(), schema.record_layout());
    let mut found = records_of(&schema, &found);
    found.sort_by_key(|record| record.id);
    let everything = all(&storage, &schema).await;
    assert_identical(&found, &[everything[0].clone(), everything[2].clone()]);
    for none in [&[][..], &[nth_id(900)]] {
        let found = storage.reader.get(&schema, none).await.expect("no record");
        assert_eq!(
            (found.num_rows(), &found.schema()),
            (0, schema.record_layout())
        );
    }
}

/// Five hundred ids at once.
pub async fn get_takes_many_ids(storage: Storage) {
    let schema = orders();
    let rows = (0..1_000)
        .map(|n| row! { reference: n.to_string() })
        .collect();
    create_with(&storage, batch(&schema, 0, rows)).await;
    let ids: Vec<RecordId> = (0..500).map(|n| nth_id(n * 2)).collect();
    let found = storage
        .reader
        .get(&schema, &ids)
        .await
        .expect("records by id");
    let mut found: Vec<_> = records_of(&schema, &found)
        .iter()
        .map(|record| record.id)
        .collect();
    found.sort();
    assert_eq!(found, ids);
}

/// A selection holds the system fields and the properties asked for, in their order.
pub async fn selections_narrow_the_answer(storage: Storage) {
    let schema = all_types();
    create_with(&storage, numbered(&schema, 0, &edge_rows(&schema))).await;
    let whole = all(&storage, &schema).await;
    let last = schema.schema().properties.len() - 1;
    for selected in [vec![], vec![0], vec![2, 8, last], (0..=last).collect()] {
        let mut query = sorted(&schema, Vec::new());
        query.select = Some(selected.clone());
        let found = scan(&storage, query).await;
        let expected = whole.iter().cloned().map(|mut record| {
            record.values = selected
                .iter()
                .map(|at| record.values[*at].clone())
                .collect();
            record
        });
        assert_identical(&found, &expected.collect::<Vec<_>>());
    }
    // What is not selected can still be sorted and filtered by.
    let mut query = sorted(&schema, Vec::new());
    let number = field(&schema, "a_number");
    query.filter = Some(Filter::condition(number, Test::IsNull));
    query.select = Some(vec![0]);
    let nulls = whole
        .iter()
        .filter(|record| record.field(number).is_null())
        .count();
    assert_eq!(scan(&storage, query).await.len(), nulls);
}

/// Counts are exact, with a filter and without.
pub async fn counts_are_exact(storage: Storage) {
    let schema = orders();
    let rows = (0..100_i64)
        .map(|n| row! { reference: n.to_string(), quantity: n })
        .collect();
    create_with(&storage, batch(&schema, 0, rows)).await;
    let count = storage
        .reader
        .count(&schema, None, true)
        .await
        .expect("a count");
    assert_eq!((count.records, count.exact), (100, true));
    let test = Test::Compare(Comparison::Lt, Value::Integer(30));
    let filter = Filter::condition(field(&schema, "quantity"), test);
    assert_eq!(matching(&storage, &schema, filter).await.len(), 30);
}

/// An answer that would take more than it may is refused, and one that takes less is whole; by
/// whichever way a page is found.
pub async fn an_answer_ends_where_it_takes_too_much(storage: Storage) {
    const TEXT_BYTES: usize = 1 << 20;
    let schema = orders();
    let text = Value::Object(format!(r#"{{"t":"{}"}}"#, "x".repeat(TEXT_BYTES)));
    let rows =
        (0..8_i64).map(|n| row! { reference: n.to_string(), quantity: n, extra: text.clone() });
    create_with(&storage, batch(&schema, 0, rows.collect())).await;
    let by_quantity = Sort {
        field: field(&schema, "quantity"),
        descending: true,
        nulls_first: false,
    };
    for sort in [Vec::new(), vec![by_quantity]] {
        let mut query = sorted(&schema, sort);
        query.limit = Some(10);
        query.bytes_max = Some(5 * TEXT_BYTES as u64);
        let answer = match storage.reader.scan(query.clone()).await {
            Ok(stream) => stream.try_collect::<Vec<_>>().await,
            Err(error) => Err(error),
        };
        let most = query.bytes_max.unwrap_or_default();
        assert_fails!(answer, StorageError::AnswerTooLarge { bytes_max } if bytes_max == most);
        query.limit = Some(3);
        assert_eq!(scan(&storage, query.clone()).await.len(), 3);
        query.limit = Some(10);
        query.bytes_max = Some(100 * TEXT_BYTES as u64);
        assert_eq!(scan(&storage, query.clone()).await.len(), 8);
        query.bytes_max = Some(TEXT_BYTES as u64);
        query.select = Some(Vec::new());
        assert_eq!(scan(&storage, query).await.len(), 8);
    }
}

/// A schema without a record answers every question with nothing.
pub async fn an_empty_schema_answers_nothing(storage: Storage) {
    let schema = all_types();
    create(&storage, &schema).await;
    assert_eq!(all(&storage, &schema).await, Vec::new());
    let filter = Filter::condition(Field::Version, Test::IsNull);
    assert_eq!(
        matching(&storage, &Arc::clone(&schema), filter).await,
        Vec::new()
    );
    for exact in [true, false] {
        let count = storage
            .reader
            .count(&schema, None, exact)
            .await
            .expect("a count");
        assert_eq!(count.records, 0);
    }
}
