//! What only this engine can do: lose connections, and be changed by other servers.

use std::sync::Arc;

use futures_util::future::join_all;

use staffa_domain::error::Unavailable;
use staffa_domain::ports::{EngineState, SchemaChange, Storage};
use staffa_domain::{Operation, StorageError, WriteMode};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{all, create, execute};
use staffa_testkit::row;
use staffa_testkit::schemas::orders;

use crate::database::{self, Database};

/// Runs a test on a database whose connections it can reach, or skips it.
fn with_database(test: impl AsyncFnOnce(Storage, &Database)) {
    if database::server().is_none() {
        println!("skipped: STAFFA_TEST_POSTGRES_URL is not set");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let database = Database::create().await;
        let storage = staffa_postgres::open(database.options()).await;
        let storage = storage.expect("an open storage");
        test(storage.clone(), &database).await;
        storage.monitor.close().await;
    });
}

async fn kill_all(database: &Database) {
    let admin = database.connect().await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name = 'staffa'";
    admin.batch_execute(kill).await.expect("killed backends");
    // Until they are gone a write may still reach one of them.
    let count = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND application_name = 'staffa' \
                 AND backend_type = 'client backend' AND state = 'idle in transaction'";
    admin.query(count, &[]).await.expect("a count");
}

#[test]
fn killed_backends_are_replaced() {
    with_database(async |storage, database| {
        let schema = orders();
        create(&storage, &schema).await;
        for round in 0..5_u64 {
            let created = batch(&schema, round, vec![row! { reference: round.to_string() }]);
            let mut answer = execute(&storage, vec![Operation::Create(created.clone())]).await;
            // A backend that was killed at the commit says so and is not asked again blindly;
            // any other loss is made good by the adapter or by asking again.
            while let Err(StorageError::Unavailable(Unavailable::Reopening)) = answer {
                answer = execute(&storage, vec![Operation::Create(created.clone())]).await;
            }
            answer.expect("a write after the kill");
            kill_all(database).await;
        }
        let mut probe = storage.monitor.probe().await;
        for _ in 0..20 {
            if probe.is_ok() {
                break;
            }
            probe = storage.monitor.probe().await;
        }
        probe.expect("an answer after the kill");
        assert_eq!(all(&storage, &schema).await.len(), 5);
    });
}

#[test]
fn a_session_whose_backend_is_killed_keeps_nothing() {
    with_database(async |storage, database| {
        let schema = orders();
        create(&storage, &schema).await;
        let session = storage.writer.begin(&schema, WriteMode::Insert).await;
        let mut session = session.expect("a session");
        let one = batch(&schema, 0, vec![row! { reference: "a" }]);
        session.append(one).await.expect("a batch");
        kill_all(database).await;
        let answer = session.commit().await;
        assert!(
            matches!(
                answer,
                Err(StorageError::Unavailable(Unavailable::Reopening))
            ),
            "{answer:?}"
        );
        storage
            .monitor
            .probe()
            .await
            .or_else(|_| Ok::<_, StorageError>(()))
            .expect("a probe");
        assert_eq!(all(&storage, &schema).await.len(), 0);
    });
}

#[test]
fn another_server_hears_of_a_change_and_refuses_the_old_version() {
    with_database(async |storage, database| {
        let other = staffa_postgres::open(database.options())
            .await
            .expect("another server");
        // The first note is for what happened before it listened.
        other.catalog.changed().await;
        let schema = orders();
        create(&storage, &schema).await;
        other.catalog.changed().await;
        assert_eq!(other.catalog.load().await.expect("schemas").len(), 1);
        let from = Arc::clone(&schema);
        storage
            .catalog
            .apply(SchemaChange::Drop { from })
            .await
            .expect("a drop");
        let created = Operation::Create(batch(&schema, 0, vec![row! { reference: "a" }]));
        let answer = execute(&other, vec![created]).await;
        assert!(
            matches!(answer, Err(StorageError::SchemaNotFound { .. })),
            "{answer:?}"
        );
        other.monitor.close().await;
        assert_eq!(other.monitor.state(), EngineState::Closed);
    });
}

#[test]
fn many_servers_open_a_new_database_at_once() {
    with_database(async |storage, database| {
        let opened = join_all((0..8).map(|_| staffa_postgres::open(database.options()))).await;
        let schema = orders();
        create(&storage, &schema).await;
        let ensured = opened.iter().map(|other| async {
            let other = other.as_ref().expect("an open storage");
            other.catalog.ensure(&schema).await
        });
        for answer in join_all(ensured).await {
            answer.expect("storage that is there");
        }
        for other in opened.into_iter().flatten() {
            other.monitor.close().await;
        }
    });
}

#[test]
fn a_table_made_anew_is_served_through_old_connections() {
    with_database(async |storage, _| {
        let schema = orders();
        for round in 0..3_u64 {
            create(&storage, &schema).await;
            let created = batch(&schema, round, vec![row! { reference: "a" }]);
            execute(&storage, vec![Operation::Create(created.clone())])
                .await
                .expect("a write");
            let found = storage
                .reader
                .get(&schema, &[created.id(0)])
                .await
                .expect("a read");
            assert_eq!(found.num_rows(), 1);
            let from = Arc::clone(&schema);
            storage
                .catalog
                .apply(SchemaChange::Drop { from })
                .await
                .expect("a drop");
        }
    });
}
