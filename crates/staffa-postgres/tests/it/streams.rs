//! Streams and questions that nobody waits for any more end on the server too.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use futures_util::{StreamExt, TryStreamExt};
use tokio_postgres::Client;

use staffa_domain::error::Unavailable;
use staffa_domain::ports::{RecordStream, Storage};
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{Field, Filter, RecordQuery, SchemaSnapshot, StorageError, Value};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{create, create_with};
use staffa_testkit::schemas::orders;
use staffa_testkit::{assert_fails, row};

use crate::harness::{with_database, with_fresh};

/// More than the buffers between the server's query and the test can hold.
const MANY: &str = "INSERT INTO records.orders (id, created_at, updated_at, version, c1, c2) \
     SELECT gen_random_uuid(), now(), now(), 1, repeat('x', 200) || n, n \
     FROM generate_series(1, 200000) AS n";

/// How many of the server's connections are at work on something like this.
async fn at_work(admin: &Client, like: &str) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name = 'staffa' AND state = 'active' AND query LIKE $1";
    admin
        .query_one(sql, &[&like])
        .await
        .expect("a count")
        .get(0)
}

async fn until_at_work(admin: &Client, like: &str, wanted: i64) {
    let mut found = -1;
    for _ in 0..3_000 {
        found = at_work(admin, like).await;
        if found == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{found} connections are at work on {like}, expected {wanted}");
}

async fn many(storage: &Storage, admin: &Client) -> Arc<SchemaSnapshot> {
    let schema = orders();
    create(storage, &schema).await;
    admin.batch_execute(MANY).await.expect("many records");
    schema
}

/// Of records with a megabyte each, a batch holds a few.
#[test]
fn batches_are_bounded_in_bytes() {
    with_database(async |storage, _| {
        let schema = orders();
        let extra = Value::Object(format!(r#"{{"t":"{}"}}"#, "x".repeat(1 << 20)));
        let rows =
            (0..12_i64).map(|n| row! { reference: n.to_string(), code: n, extra: extra.clone() });
        create_with(&storage, batch(&schema, 0, rows.collect())).await;
        let all = RecordQuery::all(Arc::clone(&schema));
        let code = Field::find(&schema, "code").expect("a field");
        let test = Test::Compare(Comparison::Gt, Value::Integer(-1));
        let filter = Some(Filter::condition(code, test));
        // By COPY, and by rows, since a filter has parameters.
        for query in [all.clone(), RecordQuery { filter, ..all }] {
            let stream = storage.reader.scan(query).await.expect("a stream");
            let batches: Vec<_> = stream.try_collect().await.expect("a whole stream");
            let rows: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
            assert_eq!(rows.iter().sum::<usize>(), 12);
            assert!(rows.iter().all(|rows| *rows <= 6), "{rows:?}");
        }
    });
}

async fn begun(storage: &Storage, query: RecordQuery) -> RecordStream {
    let mut stream = storage.reader.scan(query).await.expect("a stream");
    let first = stream.next().await.expect("a batch");
    assert!(first.expect("no error").num_rows() > 0);
    stream
}

#[test]
fn a_dropped_stream_ends_on_the_server() {
    with_database(async |storage, database| {
        let admin = database.connect().await;
        let schema = many(&storage, &admin).await;
        let all = RecordQuery::all(Arc::clone(&schema));
        let mut filtered = all.clone();
        let code = Field::find(&schema, "code").expect("a field");
        let test = Test::Compare(Comparison::Gt, Value::Integer(0));
        filtered.filter = Some(Filter::condition(code, test));
        // A COPY, and a query with parameters, which a COPY cannot have.
        for (query, like) in [(all, "COPY%"), (filtered, "SELECT%FROM records%")] {
            let stream = begun(&storage, query).await;
            until_at_work(&admin, like, 1).await;
            drop(stream);
            until_at_work(&admin, like, 0).await;
        }
    });
}

#[test]
fn each_stream_has_its_connection_and_the_pool_its_size() {
    with_database(async |storage, database| {
        let admin = database.connect().await;
        let schema = many(&storage, &admin).await;
        let query = || RecordQuery::all(Arc::clone(&schema));
        let mut streams = Vec::new();
        for open in 1..=4 {
            streams.push(begun(&storage, query()).await);
            until_at_work(&admin, "COPY%", open).await;
        }
        assert_fails!(
            storage.reader.scan(query()).await.map(drop),
            StorageError::Unavailable(Unavailable::Overloaded)
        );
        streams.pop();
        until_at_work(&admin, "COPY%", 3).await;
        streams.push(begun(&storage, query()).await);
        streams.clear();
        until_at_work(&admin, "COPY%", 0).await;
    });
}

#[test]
fn a_question_that_nobody_waits_for_ends_on_the_server() {
    with_database(async |storage, database| {
        let admin = database.connect().await;
        let schema = orders();
        create(&storage, &schema).await;
        let lock = "BEGIN; LOCK TABLE records.orders IN ACCESS EXCLUSIVE MODE";
        let locker = database.connect().await;
        locker.batch_execute(lock).await.expect("a lock");
        let (reader, asked) = (Arc::clone(&storage.reader), Arc::clone(&schema));
        let question = tokio::spawn(async move { reader.count(&asked, None, true).await });
        until_at_work(&admin, "SELECT count%", 1).await;
        question.abort();
        until_at_work(&admin, "SELECT count%", 0).await;
        locker.batch_execute("ROLLBACK").await.expect("no lock");
    });
}

#[test]
fn a_stream_has_its_own_limit_of_time() {
    with_fresh(async |database| {
        let mut options = database.options();
        options.stream_timeout = Some(Duration::from_millis(100));
        let storage = crate::harness::open(options).await;
        let schema = orders();
        create(&storage, &schema).await;
        let locker = database.connect().await;
        let lock = "BEGIN; LOCK TABLE records.orders IN ACCESS EXCLUSIVE MODE";
        locker.batch_execute(lock).await.expect("a lock");
        let query = RecordQuery::all(schema);
        assert_fails!(
            storage.reader.scan(query).await.map(drop),
            StorageError::Timeout
        );
        storage.monitor.close().await;
    });
}
