//! What the tables and indexes of a schema are good for, and that the catalog is read beside the
//! lane.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use duckdb::Connection;
use staffa_domain::batch::record_id;
use staffa_domain::change::{next_version, plan as plan_change};
use staffa_domain::ports::{SchemaCatalog as _, SchemaChange};
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{
    Field, Filter, PropertyName, PropertyType, RecordQuery, Schema, SchemaSnapshot, Value,
};
use staffa_testkit::schemas::SchemaBuilder;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{Catalog, is_complete, make_storage};
use crate::lane::Lane;
use crate::open::open_engine;
use crate::options::Options;
use crate::pool::Pool;
use crate::sql::{Sql, names, select};
use crate::upkeep::wal_bytes;

/// A change of a document.
type Edit = fn(&mut Schema);

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

/// Nobody looks after this engine, so that a wish stands until a change makes its own checkpoint.
#[tokio::test]
async fn only_light_changes_leave_their_checkpoint_to_others() {
    let folder = TempDir::new().unwrap();
    let engine = open_engine(Options::new(folder.path())).unwrap();
    let lane = Arc::new(Lane::start(&engine).unwrap());
    let pool = Arc::new(Pool::start(&engine, "catalog", 1).unwrap());
    let catalog = Catalog::new(Arc::clone(&engine), lane, pool);
    let (mut schema, document) = (orders(), "the first".to_owned());
    let to = Arc::clone(&schema);
    let created = catalog.apply(SchemaChange::Create { to, document }).await;
    created.unwrap();
    assert!(!engine.wishes.is_any());
    let added = |schema: &mut Schema| {
        let mut property = schema.properties[1].clone();
        (property.name, property.indexed) = (PropertyName::new("added").unwrap(), false);
        property.default = Some(Value::Integer(7));
        schema.properties.push(property);
    };
    let unindexed = |schema: &mut Schema| schema.properties[1].indexed = false;
    let dropped = |schema: &mut Schema| drop(schema.properties.pop());
    let steps: [(Edit, bool); 4] = [
        (added, true),
        (unindexed, false),
        (dropped, false),
        (added, true),
    ];
    for (change, is_light) in steps {
        let mut to = schema.schema().clone();
        change(&mut to);
        let steps = plan_change(schema.schema(), &to).unwrap();
        let to = Arc::new(next_version(&schema, &to, &steps));
        let evolve = SchemaChange::Evolve {
            from: Arc::clone(&schema),
            to: Arc::clone(&to),
            document: format!("version {}", to.version()),
            steps: String::new(),
        };
        catalog.apply(evolve).await.unwrap();
        let left = (engine.wishes.is_any(), wal_bytes(&engine) > 0);
        assert_eq!(left, (is_light, is_light), "version {}", to.version());
        schema = to;
    }
    let dropped = SchemaChange::Drop { from: schema };
    catalog.apply(dropped).await.unwrap();
    assert!(!engine.wishes.is_any(), "the schema was dropped");
}
