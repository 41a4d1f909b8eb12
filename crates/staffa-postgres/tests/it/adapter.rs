//! What only this engine can do: lose connections, and be changed by other servers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use staffa_domain::error::Unavailable;
use staffa_domain::ports::{EngineState, SchemaChange, Storage};
use staffa_domain::{Operation, SchemaSnapshot, StorageError, WriteMode};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{all, create, execute};
use staffa_testkit::row;
use staffa_testkit::schemas::orders;

use crate::database::{self, Database};
use crate::proxy::{Cut, Proxy};

/// Runs a test on a database of its own, or skips it.
fn with_fresh(test: impl AsyncFnOnce(&Database)) {
    if database::server().is_none() {
        println!("skipped: STAFFA_TEST_POSTGRES_URL is not set");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        test(&Database::create().await).await;
    });
}

/// Runs a test on an open storage whose connections it can reach, or skips it.
fn with_database(test: impl AsyncFnOnce(Storage, &Database)) {
    with_fresh(async |database| {
        let storage = staffa_postgres::open(database.options()).await;
        let storage = storage.expect("an open storage");
        test(storage.clone(), database).await;
        storage.monitor.close().await;
    });
}

/// Runs a test on an open storage with a relay before it, or skips it.
fn with_proxy(test: impl AsyncFnOnce(Storage, &Proxy)) {
    with_fresh(async |database| {
        let proxy = Proxy::start(database.config()).await;
        let storage = staffa_postgres::open(database.options_through(&proxy)).await;
        let storage = storage.expect("an open storage");
        test(storage.clone(), &proxy).await;
        storage.monitor.close().await;
    });
}

fn one(schema: &Arc<SchemaSnapshot>, n: u64) -> Operation {
    Operation::Create(batch(schema, n, vec![row! { reference: n.to_string() }]))
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
        let session = storage
            .writer
            .begin(&schema, WriteMode::Insert.into())
            .await;
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
    with_fresh(async |database| {
        let opened = join_all((0..4).map(|_| staffa_postgres::open(database.options()))).await;
        let opened: Vec<Storage> = opened
            .into_iter()
            .map(|storage| storage.expect("an open storage"))
            .collect();
        let schema = orders();
        create(&opened[0], &schema).await;
        let ensured = opened.iter().map(|other| other.catalog.ensure(&schema));
        for answer in join_all(ensured).await {
            answer.expect("storage that is there");
        }
        for other in opened {
            other.monitor.close().await;
        }
    });
}

#[test]
fn a_commit_without_an_answer_is_unknown_and_not_sent_again() {
    with_proxy(async |storage, proxy| {
        let schema = orders();
        create(&storage, &schema).await;
        for (n, cut) in [(0, Cut::After("COMMIT\0")), (1, Cut::Before("COMMIT\0"))] {
            let before = proxy.commits();
            proxy.arm(cut);
            let answer = execute(&storage, vec![one(&schema, n)]).await;
            assert_unknown(&answer);
            assert_eq!(proxy.commits(), before + 1, "one commit, never a second");
            // What the server had heard of stands, the other does not.
            assert_eq!(all(&storage, &schema).await.len(), 1);
        }
        let session = storage
            .writer
            .begin(&schema, WriteMode::Insert.into())
            .await;
        let mut session = session.expect("a session");
        let given = batch(&schema, 5, vec![row! { reference: "session" }]);
        session.append(given).await.expect("a batch");
        proxy.arm(Cut::After("COMMIT\0"));
        assert_unknown(&session.commit().await);
        assert_eq!(all(&storage, &schema).await.len(), 2);
    });
}

#[track_caller]
fn assert_unknown<T: std::fmt::Debug>(answer: &Result<T, StorageError>) {
    assert!(
        matches!(
            answer,
            Err(StorageError::Unavailable(Unavailable::CommitUnknown))
        ),
        "{answer:?}"
    );
}

#[test]
fn a_connection_lost_before_the_commit_is_made_good() {
    with_proxy(async |storage, proxy| {
        let schema = orders();
        create(&storage, &schema).await;
        for (n, cut) in [(0, Cut::Before("BEGIN")), (1, Cut::After("BEGIN"))] {
            execute(&storage, vec![one(&schema, 10 + n)])
                .await
                .expect("a connection that is kept");
            proxy.arm(cut);
            execute(&storage, vec![one(&schema, n)])
                .await
                .expect("a write on another connection");
        }
        assert_eq!(all(&storage, &schema).await.len(), 4);
    });
}

#[test]
fn a_locked_schema_is_waited_for_only_so_long() {
    with_fresh(async |database| {
        let mut options = database.options();
        options.query_timeout = Duration::from_millis(300);
        options.lock_timeout = Duration::from_millis(100);
        let storage = staffa_postgres::open(options).await;
        let storage = storage.expect("an open storage");
        let schema = orders();
        create(&storage, &schema).await;
        let admin = database.connect().await;
        let lock = "BEGIN; LOCK TABLE records.orders IN ACCESS EXCLUSIVE MODE";
        admin.batch_execute(lock).await.expect("a lock");
        let count = storage.reader.count(&schema, None, true).await;
        assert!(matches!(count, Err(StorageError::Timeout)), "{count:?}");
        let written = execute(&storage, vec![one(&schema, 0)]).await;
        assert!(matches!(written, Err(StorageError::Timeout)), "{written:?}");
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
fn what_an_index_cannot_hold_is_unsupported() {
    with_database(async |storage, _| {
        let schema = orders();
        create(&storage, &schema).await;
        // Too irregular to be compressed below the limit of an index.
        let mut state = 1_u32;
        let long: String = (0..20_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b'!' + u8::try_from(state >> 26).expect("six bits"))
            })
            .collect();
        let given = batch(&schema, 0, vec![row! { reference: long }]);
        let answer = execute(&storage, vec![Operation::Create(given)]).await;
        assert!(
            matches!(answer, Err(StorageError::Unsupported(_))),
            "{answer:?}"
        );
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
