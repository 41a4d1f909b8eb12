//! What the indexes of a schema are good for, by the planner's own words.

use std::sync::Arc;

use tokio_postgres::{Client, NoTls};

use staffa_domain::query::{Comparison, Position, Test};
use staffa_domain::{
    Field, Filter, PropertyType, RecordId, RecordQuery, SchemaSnapshot, Sort, Value,
};
use staffa_testkit::schemas::SchemaBuilder;

use super::ddl;
use crate::options::Distribution;
use crate::sql::names::{self, IndexKind};
use crate::sql::{self, Query};

const RECORDS: i64 = 50_000;
const REFERENCE: usize = 0;
const SERIAL: usize = 1;
const QUANTITY: usize = 2;

fn orders() -> Arc<SchemaSnapshot> {
    let indexed = |property: &mut staffa_domain::Property| property.indexed = true;
    SchemaBuilder::new("planned_orders")
        .unique("reference", PropertyType::String)
        .property("serial", PropertyType::Integer, |property| {
            property.required = true;
            indexed(property);
        })
        .property("quantity", PropertyType::Integer, indexed)
        .snapshot()
}

/// A connection to the server of the tests, in a transaction that is never committed and holds
/// the storage of the schema, filled; nothing where there is no server.
async fn filled(schema: &SchemaSnapshot) -> Option<Client> {
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
    let Ok(server) = std::env::var("STAFFA_TEST_POSTGRES_URL") else {
        println!("skipped: STAFFA_TEST_POSTGRES_URL is not set");
        return None;
    };
    let (client, connection) = tokio_postgres::connect(&server, NoTls).await.unwrap();
    tokio::spawn(connection);
    let begin = "BEGIN; CREATE SCHEMA IF NOT EXISTS records";
    client.batch_execute(begin).await.unwrap();
    for statement in ddl::create(schema, Distribution::None).unwrap() {
        client.batch_execute(&statement).await.unwrap();
    }
    // The numbers come in no order, and one quantity in ten is null.
    let table = names::table(schema);
    let insert = format!(
        "INSERT INTO {table} SELECT gen_random_uuid(), now(), now(), 1, 'R-' || n,
             n * 7919 % {RECORDS}, nullif(n % 10, 0) * 0 + n * 104729 % {RECORDS}
         FROM generate_series(1::bigint, {RECORDS}) AS n; ANALYZE {table}"
    );
    client.batch_execute(&insert).await.unwrap();
    Some(client)
}

async fn plan(client: &Client, query: &Query) -> String {
    let params = query.params.iter();
    let params: Vec<_> = params
        .map(|param| {
            (
                param as &(dyn tokio_postgres::types::ToSql + Sync),
                param.kind().clone(),
            )
        })
        .collect();
    let explain = format!("EXPLAIN {}", query.sql);
    let lines = client.query_typed(&explain, &params).await.unwrap();
    let lines: Vec<&str> = lines.iter().map(|line| line.get(0)).collect();
    lines.join("\n")
}

/// A page or a count must look for its records in an index, or walk along it.
#[track_caller]
fn check(plan: &str, index: &str) {
    assert!(plan.contains(index), "{plan}");
    assert!(!plan.contains("Seq Scan"), "{plan}");
}

/// The same, and not walk along all of it.
#[track_caller]
fn check_lookup(plan: &str, index: &str) {
    check(plan, index);
    assert!(plan.contains("Index Cond"), "{plan}");
}

async fn plan_of_page(client: &Client, page: &RecordQuery) -> String {
    let query = sql::page(page).unwrap_or_else(|| sql::scan(page));
    plan(client, &query).await
}

fn index(schema: &SchemaSnapshot, position: usize) -> String {
    let kind = if position == REFERENCE {
        IndexKind::Unique
    } else {
        IndexKind::Plain
    };
    names::index(schema, kind, &[position])
}

#[tokio::test]
async fn filters_look_into_the_indexes_of_their_properties() {
    let schema = orders();
    let Some(client) = filled(&schema).await else {
        return;
    };
    let text = |text: &str| Value::String(text.to_owned());
    let compare = Test::Compare;
    let integer = Value::Integer;
    for (position, test) in [
        (REFERENCE, compare(Comparison::Eq, text("R-7"))),
        (REFERENCE, Test::In(vec![text("R-7"), text("R-8")])),
        (SERIAL, compare(Comparison::Eq, integer(7))),
        (SERIAL, Test::In(vec![integer(7), integer(8), integer(9)])),
        (SERIAL, Test::Between(integer(7), integer(90))),
        (SERIAL, compare(Comparison::Gt, integer(RECORDS - 90))),
        (SERIAL, compare(Comparison::Lte, integer(90))),
        (QUANTITY, compare(Comparison::Eq, integer(7))),
        (QUANTITY, compare(Comparison::Gte, integer(RECORDS - 90))),
        (QUANTITY, compare(Comparison::Lt, integer(90))),
    ] {
        let place = format!("{test:?}");
        let filter = Filter::condition(Field::Property(position), test);
        let count = plan(&client, &sql::count(&schema, Some(&filter))).await;
        println!("{place}\n{count}");
        check_lookup(&count, &index(&schema, position));
        let mut page = RecordQuery::all(Arc::clone(&schema));
        (page.filter, page.limit, page.ordered) = (Some(filter), Some(51), true);
        let page = plan_of_page(&client, &page).await;
        println!("{page}");
        check_lookup(&page, &index(&schema, position));
    }
}

#[tokio::test]
async fn pages_walk_along_the_index_of_their_order() {
    let schema = orders();
    let Some(client) = filled(&schema).await else {
        return;
    };
    for (position, value) in [
        (REFERENCE, Value::String("R-7".to_owned())),
        (SERIAL, Value::Integer(7)),
        (QUANTITY, Value::Integer(7)),
    ] {
        for (descending, nulls_first) in [(false, false), (true, false), (true, true)] {
            let sort = Sort {
                field: Field::Property(position),
                descending,
                nulls_first,
            };
            let mut page = RecordQuery::all(Arc::clone(&schema));
            (page.sort, page.limit) = (vec![sort], Some(51));
            let first = plan_of_page(&client, &page).await;
            println!("{sort:?}\n{first}");
            page.after = Some(Position {
                values: vec![value.clone()],
                id: RecordId::from_bytes([7; 16]),
            });
            let next = plan_of_page(&client, &page).await;
            println!("{next}");
            check(&first, &index(&schema, position));
            check_lookup(&next, &index(&schema, position));
        }
    }
}

#[tokio::test]
async fn ids_are_found_and_walked_by_the_key() {
    let schema = orders();
    let Some(client) = filled(&schema).await else {
        return;
    };
    let key = names::index(&schema, IndexKind::Id, &[]);
    let ids = [RecordId::from_bytes([7; 16]), RecordId::from_bytes([8; 16])];
    let found = plan(&client, &sql::get(&schema, &ids)).await;
    check_lookup(&found, &key);
    let mut page = RecordQuery::all(Arc::clone(&schema));
    (page.limit, page.ordered) = (Some(51), true);
    check(&plan_of_page(&client, &page).await, &key);
    page.after = Some(Position {
        values: Vec::new(),
        id: ids[0],
    });
    check_lookup(&plan_of_page(&client, &page).await, &key);
}
