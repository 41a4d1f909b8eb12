//! Locks of others: what waits for them, how long, and what does not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use staffa_domain::change::{next_version, plan};
use staffa_domain::ports::SchemaChange;
use staffa_domain::{Operation, StorageError, WriteMode};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::evolution::evolve;
use staffa_testkit::conformance::support::{all, create, execute};
use staffa_testkit::row;
use staffa_testkit::schemas::{all_types, orders};

use crate::harness::{one, open, with_fresh};

#[test]
fn a_locked_schema_is_waited_for_only_so_long() {
    with_fresh(async |database| {
        let mut options = database.options();
        options.query_timeout = Duration::from_millis(300);
        options.lock_timeout = Duration::from_millis(100);
        let storage = open(options).await;
        let schema = orders();
        create(&storage, &schema).await;
        let admin = database.connect().await;
        let lock = "BEGIN; LOCK TABLE records.orders IN ACCESS EXCLUSIVE MODE";
        admin.batch_execute(lock).await.expect("a lock");
        let count = storage.reader.count(&schema, None, true).await;
        assert!(matches!(count, Err(StorageError::Timeout)), "{count:?}");
        let written = execute(&storage, vec![one(&schema, 0)]).await;
        assert!(
            matches!(written, Err(StorageError::Conflict)),
            "{written:?}"
        );
        let from = Arc::clone(&schema);
        let dropped = storage.catalog.apply(SchemaChange::Drop { from }).await;
        assert!(
            matches!(dropped, Err(StorageError::Conflict)),
            "{dropped:?}"
        );
        admin.batch_execute("ROLLBACK").await.expect("no lock");
        execute(&storage, vec![one(&schema, 0)])
            .await
            .expect("a write after the lock");
        assert_eq!(all(&storage, &schema).await.len(), 1);
        storage.monitor.close().await;
    });
}

#[test]
fn a_locked_schema_does_not_hold_up_others() {
    with_fresh(async |database| {
        let mut options = database.options();
        options.lock_timeout = Duration::from_millis(200);
        let storage = open(options).await;
        let (locked, free) = (orders(), all_types());
        create(&storage, &locked).await;
        create(&storage, &free).await;
        let admin = database.connect().await;
        let lock = "BEGIN; LOCK TABLE records.orders IN ACCESS EXCLUSIVE MODE";
        admin.batch_execute(lock).await.expect("a lock");
        // The lock is held until all are answered, so none of them waits for its end.
        let writes = (0..120).map(|n| {
            let operation = if n % 3 == 0 {
                Operation::Create(batch(&free, n, vec![row! { a_integer: 1 }]))
            } else {
                one(&locked, n)
            };
            storage.writer.execute(vec![operation])
        });
        let answers = join_all(writes).await;
        for (n, answer) in answers.iter().enumerate() {
            if n % 3 == 0 {
                assert!(answer.is_ok(), "{n}: {answer:?}");
            } else {
                let refused = matches!(answer, Err(StorageError::Conflict));
                assert!(refused, "{n}: {answer:?}");
            }
        }
        admin.batch_execute("ROLLBACK").await.expect("no lock");
        assert_eq!(all(&storage, &free).await.len(), 40);
        assert_eq!(all(&storage, &locked).await.len(), 0);
        execute(&storage, vec![one(&locked, 0)])
            .await
            .expect("a write after the lock");
        storage.monitor.close().await;
    });
}

#[test]
fn a_start_does_not_wait_for_a_bulk_under_way() {
    with_fresh(async |database| {
        let mut options = database.options();
        options.lock_timeout = Duration::from_millis(100);
        let storage = open(options.clone()).await;
        let schema = orders();
        create(&storage, &schema).await;
        let session = storage
            .writer
            .begin(&schema, WriteMode::Insert.into())
            .await;
        let mut session = session.expect("a session");
        let given = batch(&schema, 0, vec![row! { reference: "a" }]);
        session.append(given).await.expect("a batch");
        let other = open(options).await;
        let ensured = other.catalog.ensure(&schema).await;
        ensured.expect("all is there, and nothing waits for the bulk");
        execute(&other, vec![one(&schema, 7)])
            .await
            .expect("a write beside the bulk");
        session.commit(Vec::new()).await.expect("a commit");
        assert_eq!(all(&other, &schema).await.len(), 2);
        // What is missing is made all the same.
        let admin = database.connect().await;
        let drop = "SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index \
                    WHERE indrelid = 'records.orders'::regclass AND NOT indisprimary LIMIT 1";
        let drop: String = admin.query_one(drop, &[]).await.expect("an index").get(0);
        admin.batch_execute(&drop).await.expect("no index");
        let count = "SELECT count(*) FROM pg_index WHERE indrelid = 'records.orders'::regclass";
        let indexes =
            async || -> i64 { admin.query_one(count, &[]).await.expect("a count").get(0) };
        let before = indexes().await;
        other.catalog.ensure(&schema).await.expect("an index");
        assert_eq!(indexes().await, before + 1);
        for server in [storage, other] {
            server.monitor.close().await;
        }
    });
}

/// Where this fails it would wait until the change is done, which waits for the test.
const HANGS: Duration = Duration::from_secs(30);

#[test]
fn the_catalog_is_read_while_an_index_is_built() {
    with_fresh(async |database| {
        let storage = open(database.options()).await;
        let (schema, elsewhere) = (orders(), all_types());
        create(&storage, &schema).await;
        let mut wanted = schema.schema().clone();
        let weight = schema.position("weight").expect("a property");
        wanted.properties[weight].indexed = true;
        let change = plan(schema.schema(), &wanted).expect("a way between the two");
        let next = Arc::new(next_version(&schema, &wanted, &change));
        // An index that is built beside writes waits for those under way.
        let admin = database.connect().await;
        let write = "BEGIN; LOCK TABLE records.orders IN ROW EXCLUSIVE MODE";
        admin.batch_execute(write).await.expect("a write under way");
        let building = tokio::spawn({
            let (storage, from, to) = (storage.clone(), Arc::clone(&schema), Arc::clone(&next));
            async move { evolve(&storage, &from, &to).await }
        });
        let watcher = database.connect().await;
        let waits = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) \
                     WHERE NOT granted AND datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%'";
        while watcher
            .query_one(waits, &[])
            .await
            .expect("a count")
            .get::<_, i64>(0)
            == 0
        {
            assert!(!building.is_finished(), "it waits for nothing");
        }
        // Another server changes the catalog, and this one sees it.
        let other = open(database.options()).await;
        create(&other, &elsewhere).await;
        let load = tokio::time::timeout(HANGS, storage.catalog.load());
        let stored = load.await.expect("an answer").expect("the schemas");
        assert!(stored.iter().any(|schema| schema.name == elsewhere.name()));
        let versions = tokio::time::timeout(HANGS, storage.catalog.versions(schema.name()));
        assert_eq!(
            versions.await.expect("an answer").expect("versions").len(),
            1
        );
        assert!(!building.is_finished());
        admin.batch_execute("ROLLBACK").await.expect("no write");
        building.await.expect("a task").expect("a change");
        for server in [storage, other] {
            server.monitor.close().await;
        }
    });
}
