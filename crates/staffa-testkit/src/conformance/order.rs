//! Order and pages: total, the same everywhere, and pages that add up.

use std::sync::Arc;

use staffa_domain::ports::Storage;
use staffa_domain::{Field, Position, RecordId, RecordQuery, SchemaSnapshot, Sort, Value};

use crate::builders::numbered;
use crate::conformance::support::{all, create_with, field, scan, sorted};
use crate::conformance::values::edge_rows;
use crate::eval::order;
use crate::record::Record;
use crate::schemas::all_types;

/// Every edge of every type twice, so that there are ties.
async fn twice(storage: &Storage) -> Arc<SchemaSnapshot> {
    let schema = all_types();
    let mut rows = edge_rows(&schema);
    rows.extend(rows.clone());
    create_with(storage, numbered(&schema, 0, &rows)).await
}

const fn key(field: Field, descending: bool, nulls_first: bool) -> Sort {
    Sort {
        field,
        descending,
        nulls_first,
    }
}

fn ids(records: &[Record]) -> Vec<RecordId> {
    records.iter().map(|record| record.id).collect()
}

async fn expected(storage: &Storage, query: &RecordQuery) -> Vec<Record> {
    let mut records = all(storage, &query.schema).await;
    let sort = query.total_sort();
    records.sort_by(|left, right| order(&sort, left, right));
    records
}

async fn check(storage: &Storage, query: RecordQuery) {
    let expected = expected(storage, &query).await;
    let found = scan(storage, query.clone()).await;
    assert_eq!(ids(&found), ids(&expected), "{:?}", query.sort);
}

/// Every ordered type, up and down, nulls first and last, and the system fields.
pub async fn every_type_is_sorted(storage: Storage) {
    let schema = twice(&storage).await;
    let ordered = schema.schema().properties.iter().enumerate();
    let ordered = ordered.filter(|(_, property)| property.property_type.is_ordered());
    let mut fields: Vec<Field> = ordered.map(|(at, _)| Field::Property(at)).collect();
    fields.extend([
        Field::Id,
        Field::CreatedAt,
        Field::UpdatedAt,
        Field::Version,
    ]);
    for field in fields {
        for (descending, nulls_first) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            check(
                &storage,
                sorted(&schema, vec![key(field, descending, nulls_first)]),
            )
            .await;
        }
    }
}

/// Text goes by code point: upper before lower case, astral characters last.
pub async fn text_is_sorted_by_code_point(storage: Storage) {
    let schema = twice(&storage).await;
    let text = field(&schema, "a_string");
    let found = scan(&storage, sorted(&schema, vec![key(text, false, false)])).await;
    let texts: Vec<String> = found
        .into_iter()
        .filter_map(|record| match record.field(text) {
            Value::String(text) => Some(text),
            _ => None,
        })
        .collect();
    let place = |text: &str| {
        texts
            .iter()
            .position(|found| found == text)
            .expect("a text")
    };
    assert!(place("Z") < place("a"));
    assert!(place("zz") < place("é"));
    assert!(place("\u{ffff}") < place("\u{1f600}"));
}

/// Equal records go by id, ascending unless the id is named.
pub async fn ties_go_by_id(storage: Storage) {
    let schema = twice(&storage).await;
    let version = key(Field::Version, true, false);
    let mut expected = ids(&all(&storage, &schema).await);
    assert_eq!(
        ids(&scan(&storage, sorted(&schema, vec![version])).await),
        expected
    );
    expected.reverse();
    let sort = vec![version, key(Field::Id, true, false)];
    assert_eq!(ids(&scan(&storage, sorted(&schema, sort)).await), expected);
}

fn mixed(schema: &SchemaSnapshot) -> Vec<Sort> {
    vec![
        key(field(schema, "a_boolean"), true, true),
        key(field(schema, "a_number"), false, false),
        key(field(schema, "a_string"), true, false),
    ]
}

/// Keys are compared one after the other, each in its own direction.
pub async fn several_keys_are_sorted(storage: Storage) {
    let schema = twice(&storage).await;
    check(&storage, sorted(&schema, mixed(&schema))).await;
}

/// Offset and limit cut a piece out of the order.
pub async fn offset_and_limit_cut_the_order(storage: Storage) {
    let schema = twice(&storage).await;
    let whole = ids(&expected(&storage, &sorted(&schema, mixed(&schema))).await);
    for (offset, limit) in [
        (0, Some(0)),
        (0, Some(5)),
        (3, Some(4)),
        (7, None),
        (1_000, Some(1)),
    ] {
        let mut query = sorted(&schema, mixed(&schema));
        query.offset = offset;
        query.limit = limit;
        let from = whole
            .len()
            .min(usize::try_from(offset).expect("a small offset"));
        let most = limit.map_or(whole.len(), |limit| {
            usize::try_from(limit).expect("a small limit")
        });
        let piece = &whole[from..whole.len().min(from + most)];
        assert_eq!(
            ids(&scan(&storage, query).await),
            piece,
            "{offset} {limit:?}"
        );
    }
}

fn position(query: &RecordQuery, record: &Record) -> Position {
    Position {
        values: query
            .sort
            .iter()
            .map(|key| record.field(key.field))
            .collect(),
        id: record.id,
    }
}

async fn paged(storage: &Storage, mut query: RecordQuery, size: u64) -> Vec<Record> {
    query.limit = Some(size);
    let mut records: Vec<Record> = Vec::new();
    loop {
        let page = scan(storage, query.clone()).await;
        let Some(last) = page.last() else {
            return records;
        };
        query.after = Some(position(&query, last));
        records.extend(page);
        assert!(records.len() < 1_000, "pages end");
    }
}

/// Pages, each started after the last record of the one before, are the whole order.
pub async fn pages_add_up_to_the_whole(storage: Storage) {
    let schema = twice(&storage).await;
    let names = [
        "a_string",
        "a_integer",
        "a_number",
        "a_decimal",
        "a_boolean",
        "a_date",
        "a_datetime",
        "a_uuid",
        "created_at",
        "id",
    ];
    for (at, name) in names.iter().enumerate() {
        let other = names[(at * 3 + 1) % names.len()];
        let sort = vec![
            key(field(&schema, name), at % 2 == 0, at % 3 == 0),
            key(field(&schema, other), at % 3 == 1, at % 2 == 1),
        ];
        let query = sorted(&schema, sort);
        let whole = ids(&expected(&storage, &query).await);
        assert_eq!(
            ids(&paged(&storage, query, 3).await),
            whole,
            "{name}, {other}"
        );
    }
}

/// A page can start after any record of a descending order, nulls included.
pub async fn pages_start_after_a_descending_position(storage: Storage) {
    let schema = twice(&storage).await;
    for nulls_first in [false, true] {
        let number = key(field(&schema, "a_number"), true, nulls_first);
        let query = sorted(&schema, vec![number, key(Field::Id, true, false)]);
        let whole = expected(&storage, &query).await;
        for (at, record) in whole.iter().enumerate() {
            let mut page = query.clone();
            page.after = Some(position(&query, record));
            assert_eq!(ids(&scan(&storage, page).await), ids(&whole[at + 1..]));
        }
    }
}
