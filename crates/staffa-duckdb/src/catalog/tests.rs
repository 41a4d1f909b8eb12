//! What the tables and indexes of a schema are good for.

use duckdb::Connection;
use staffa_domain::batch::record_id;
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{Field, Filter, PropertyType, RecordQuery, SchemaSnapshot, Value};
use staffa_testkit::schemas::SchemaBuilder;

use super::{is_complete, make_storage};
use crate::sql::{Sql, names, select};

fn orders() -> std::sync::Arc<SchemaSnapshot> {
    SchemaBuilder::new("orders")
        .unique("reference", PropertyType::String)
        .property("quantity", PropertyType::Integer, |property| {
            property.indexed = true;
        })
        .snapshot()
}

fn filled(schema: &SchemaSnapshot) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch("SET arrow_lossless_conversion = true; CREATE SCHEMA records")
        .unwrap();
    make_storage(&connection, schema).unwrap();
    let insert = format!(
        "INSERT INTO {} SELECT uuidv7(), now()::TIMESTAMP, now()::TIMESTAMP, 1,
             'R-' || range, range FROM range(50000)",
        names::table(schema)
    );
    connection.execute_batch(&insert).unwrap();
    connection
}

fn plan(connection: &Connection, sql: &Sql) -> String {
    let mut statement = connection
        .prepare(&format!("EXPLAIN ANALYZE {}", sql.text()))
        .unwrap();
    let params = duckdb::params_from_iter(sql.params());
    let mut rows = statement.query(params).unwrap();
    let mut text = String::new();
    while let Some(row) = rows.next().unwrap() {
        text.push_str(&row.get::<_, String>(1).unwrap());
    }
    text
}

#[test]
fn ids_are_found_by_the_key() {
    let schema = orders();
    let connection = filled(&schema);
    for count in [1, 64, 256] {
        let spread = format!("SELECT id FROM records.orders WHERE c2 % 190 = 0 LIMIT {count}");
        let found = Sql::new(spread).fetch(&connection).unwrap();
        let ids = found
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).filter_map(|row| record_id(batch, row)));
        let plan = plan(&connection, &select::by_ids(&schema, ids));
        assert!(plan.contains("Index Scan"), "{count} ids: {plan}");
    }
}

#[test]
fn unique_and_indexed_values_are_found_by_their_indexes() {
    let schema = orders();
    let connection = filled(&schema);
    let values = [Value::String("R-7".to_owned()), Value::Integer(7)];
    for (position, value) in values.into_iter().enumerate() {
        let test = Test::Compare(Comparison::Eq, value);
        let mut query = RecordQuery::all(std::sync::Arc::clone(&schema));
        query.filter = Some(Filter::condition(Field::Property(position), test));
        let plan = plan(&connection, &select::records(&query));
        assert!(plan.contains("Index Scan"), "{plan}");
    }
}

#[test]
fn a_lost_index_is_noticed_and_made_again() {
    let schema = orders();
    let connection = filled(&schema);
    assert!(is_complete(&connection, &schema).unwrap());
    let index = names::quote(&names::plain_index(&schema, 1));
    connection
        .execute_batch(&format!("DROP INDEX records.{index}"))
        .unwrap();
    assert!(!is_complete(&connection, &schema).unwrap());
    make_storage(&connection, &schema).unwrap();
    assert!(is_complete(&connection, &schema).unwrap());
}
