//! What the tables and indexes of a schema are good for, and that the catalog is read beside the
//! lane.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use duckdb::Connection;
use staffa_domain::batch::record_id;
use staffa_domain::ports::{SchemaCatalog as _, SchemaChange};
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{Field, Filter, PropertyType, RecordQuery, SchemaSnapshot, Value};
use staffa_testkit::schemas::SchemaBuilder;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{Catalog, is_complete, make_storage};
use crate::lane::Lane;
use crate::open::open_engine;
use crate::options::Options;
use crate::pool::Pool;
use crate::sql::{Sql, names, select};

fn orders() -> Arc<SchemaSnapshot> {
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
        let mut query = RecordQuery::all(Arc::clone(&schema));
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

/// A read that waits for the lane would wait as long as this test does.
#[tokio::test]
async fn the_catalog_is_read_while_a_change_is_under_way() {
    let folder = TempDir::new().unwrap();
    let engine = open_engine(Options::new(folder.path())).unwrap();
    let lane = Arc::new(Lane::start(&engine).unwrap());
    let pool = Arc::new(Pool::start(&engine, "catalog", 1).unwrap());
    let catalog = Catalog::new(Arc::clone(&engine), Arc::clone(&lane), pool);
    let (to, document) = (orders(), "the first".to_owned());
    let created = catalog.apply(SchemaChange::Create { to, document }).await;
    created.unwrap();
    let (begun, has_begun) = oneshot::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let change = tokio::spawn(async move {
        lane.call(move |link| {
            link.execute_batch("BEGIN; UPDATE staffa_catalog.schemas SET version = 2")
                .unwrap();
            begun.send(()).unwrap();
            may_end.recv().unwrap();
            link.execute_batch("COMMIT").unwrap();
            Ok(())
        })
        .await
    });
    has_begun.await.unwrap();
    let reads = async { (catalog.versions("orders").await, catalog.load().await) };
    let reads = tokio::time::timeout(Duration::from_secs(60), reads).await;
    let (versions, stored) = reads.expect("an answer before the change is over");
    let (versions, stored) = (versions.unwrap(), stored.unwrap());
    assert_eq!((versions.len(), stored.len()), (1, 1));
    assert_eq!((versions[0].stored.version, stored[0].version), (1, 1));
    end.send(()).unwrap();
    change.await.unwrap().unwrap();
    assert_eq!(catalog.load().await.unwrap()[0].version, 2);
}
