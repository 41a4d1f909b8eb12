//! Whatever the fences say, a page is what the plain question answers.

use std::sync::Arc;

use arrow_select::concat::concat_batches;
use duckdb::Connection;
use staffa_domain::batch::record_id;
use staffa_domain::{Field, Position, PropertyType, RecordId, RecordQuery, SchemaSnapshot, Sort};
use staffa_testkit::schemas::SchemaBuilder;

use super::fence::Sizes;
use super::{Fences, fetch};
use crate::catalog::make_storage;
use crate::engine::Link;
use crate::sql::{names, select};
use crate::types::value_at;

const SIZES: Sizes = Sizes {
    fences_max: 2_048,
    records_min: 100,
    deep_offset: 300,
};

fn schema(append_only: bool) -> Arc<SchemaSnapshot> {
    let mut builder = SchemaBuilder::new("readings");
    if append_only {
        builder = builder.append_only();
    }
    builder
        .required("place", PropertyType::Integer)
        .optional("level", PropertyType::Number)
        .optional("label", PropertyType::String)
        .optional("few", PropertyType::Integer)
        .snapshot()
}

fn filled(schema: &SchemaSnapshot) -> Link {
    let connection = Link::in_memory();
    connection
        .execute_batch("SET arrow_lossless_conversion = true; CREATE SCHEMA records")
        .unwrap();
    make_storage(&connection, schema).unwrap();
    add(&connection, schema, 0..4_000);
    connection
}

/// Values that are spread, clustered, repeated and absent.
fn add(connection: &Connection, schema: &SchemaSnapshot, numbers: std::ops::Range<u32>) {
    let system = match schema.schema().append_only {
        true => "TIMESTAMP '2024-01-01'",
        false => "TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-01', 1",
    };
    let insert = format!(
        "INSERT INTO {} SELECT
             ('00000000-0000-7000-8000-' || lpad(range::VARCHAR, 12, '0'))::UUID, {system},
             (range * 7919) % 10007,
             CASE WHEN range % 5 = 0 THEN NULL ELSE ((range * 31) % 977) / 8.0 END,
             CASE WHEN range % 3 = 0 THEN NULL
                  ELSE 'a text with a head that all of them have ' || (range * 17) % 501 END,
             range % 3
         FROM range({}, {})",
        names::table(schema),
        numbers.start,
        numbers.end
    );
    connection.execute_batch(&insert).unwrap();
}

fn ids(batches: &[arrow_array::RecordBatch]) -> Vec<RecordId> {
    let ids = |batch: &arrow_array::RecordBatch| {
        let batch = batch.clone();
        (0..batch.num_rows()).map(move |row| record_id(&batch, row).unwrap())
    };
    batches.iter().flat_map(ids).collect()
}

fn orders() -> Vec<Vec<Sort>> {
    let fields = [
        Field::Id,
        Field::CreatedAt,
        Field::Property(0),
        Field::Property(1),
        Field::Property(2),
        Field::Property(3),
    ];
    let mut orders = Vec::new();
    for field in fields {
        for (descending, nulls_first) in [(false, false), (true, false), (false, true)] {
            let key = |field, descending| Sort {
                field,
                descending,
                nulls_first,
            };
            orders.push(vec![key(field, descending)]);
            orders.push(vec![key(field, descending), key(Field::Property(0), true)]);
        }
    }
    orders
}

/// Asks both ways, and answers the position of the last record and how many there were.
fn compare(link: &Link, fences: &Fences, query: &RecordQuery) -> Option<(Position, usize)> {
    let plain = select::records(query).fetch(link).unwrap();
    let page = fetch(link, fences, query).unwrap();
    assert_eq!(
        ids(&page),
        ids(&plain),
        "{:?} after {:?}, {} left out",
        query.sort,
        query.after,
        query.offset
    );
    let whole = concat_batches(&plain.first()?.schema(), &plain).unwrap();
    let same = concat_batches(&page.first()?.schema(), &page).unwrap();
    assert_eq!(whole.columns(), same.columns(), "the records are whole");
    let last = whole.num_rows().checked_sub(1)?;
    let key = |key: &Sort| value_at(whole.column(key.field.index()), last);
    let position = Position {
        values: query.sort.iter().map(key).collect(),
        id: record_id(&whole, last).unwrap(),
    };
    Some((position, whole.num_rows()))
}

fn walk(link: &Link, fences: &Fences, schema: &Arc<SchemaSnapshot>) {
    for sort in orders() {
        let mut query = RecordQuery::all(Arc::clone(schema));
        query.sort = sort;
        for limit in [7, 400] {
            query.limit = Some(limit);
            for offset in [0, 20, 299, 300, 1_500, 3_190, 3_990, 9_000] {
                query.offset = offset;
                query.after = None;
                let mut last = compare(link, fences, &query);
                query.offset = 0;
                for _ in 0..2 {
                    let Some((position, _)) = last.take() else {
                        break;
                    };
                    query.after = Some(position);
                    last = compare(link, fences, &query);
                }
            }
        }
    }
}

#[test]
fn pages_by_fences_are_the_plain_pages() {
    for append_only in [false, true] {
        let schema = schema(append_only);
        let connection = filled(&schema);
        let fences = Fences::with(SIZES);
        walk(&connection, &fences, &schema);
        // The fences stay as they were made while the records under them go and come.
        let some = "id < '00000000-0000-7000-8000-000000001800'";
        let table = names::table(&schema);
        connection
            .execute_batch(&format!("DELETE FROM {table} WHERE {some}"))
            .unwrap();
        walk(&connection, &fences, &schema);
        add(&connection, &schema, 10_000..13_000);
        walk(&connection, &fences, &schema);
    }
}

#[test]
fn a_page_needs_less_than_all() {
    let schema = schema(false);
    let connection = filled(&schema);
    let fences = Fences::with(SIZES);
    let mut query = RecordQuery::all(Arc::clone(&schema));
    query.sort = vec![Sort {
        field: Field::Property(0),
        descending: false,
        nulls_first: false,
    }];
    query.limit = Some(10);
    for offset in [0, 2_000] {
        query.offset = offset;
        let is_deep = offset > 0;
        let ladder = super::ladder(&connection, &fences, &query, is_deep);
        let ladder = ladder.unwrap().expect("there are records enough");
        let bounds = super::place::find(&connection, &query, &ladder, is_deep);
        let bounds = bounds.unwrap().expect("a place is found");
        assert!(bounds.to.is_some(), "{bounds:?}");
        assert_eq!(bounds.from.is_some(), is_deep, "{bounds:?}");
        assert!(bounds.offset <= offset, "{bounds:?}");
        let page = super::within(&connection, &query, &bounds).unwrap();
        assert_eq!(ids(&page.expect("it is whole")).len(), 10);
    }
}
