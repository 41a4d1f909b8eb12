//! Connections that are lost, before, at and after a commit.

use std::time::Duration;

use staffa_domain::error::Unavailable;
use staffa_domain::ports::EngineState;
use staffa_domain::{Operation, StorageError, WriteMode};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{all, create, execute};
use staffa_testkit::row;
use staffa_testkit::schemas::orders;

use crate::database::Database;
use crate::harness::{one, with_database, with_proxy};
use crate::proxy::Cut;

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
        let answer = session.commit(Vec::new()).await;
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
        assert_unknown(&session.commit(Vec::new()).await);
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
fn a_server_that_let_nobody_in_is_asked_again_without_requests() {
    with_proxy(async |storage, proxy| {
        let schema = orders();
        create(&storage, &schema).await;
        // What listens has its connection and hears of no fault.
        proxy.refuse(true);
        let count = storage.reader.count(&schema, None, true).await;
        assert!(
            matches!(
                count,
                Err(StorageError::Unavailable(Unavailable::Reopening))
            ),
            "{count:?}"
        );
        assert_eq!(storage.monitor.state(), EngineState::Reopening);
        proxy.refuse(false);
        let mut tries = 0;
        while storage.monitor.state() != EngineState::Ready {
            tries += 1;
            assert!(tries < 3_000, "it stays {:?}", storage.monitor.state());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}
