//! The level that two servers on one database give each other: READ COMMITTED with the version of
//! each changed record compared, so what a list has only looked at may change before it commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use staffa_domain::ports::Storage;
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{Filter, Operation, Outcome, SchemaSnapshot, StorageError, Value};
use staffa_testkit::builders::{batch, next};
use staffa_testkit::conformance::support::{create, execute, field};
use staffa_testkit::schemas::orders;
use staffa_testkit::{nth_id, row};

use crate::database::Database;
use crate::harness::{open, with_fresh};

const PATIENCE: Duration = Duration::from_secs(30);

fn assert(schema: &Arc<SchemaSnapshot>, customer: &str, exists: bool) -> Operation {
    let test = Test::Compare(Comparison::Eq, Value::String(customer.to_owned()));
    Operation::Assert {
        schema: Arc::clone(schema),
        filter: Some(Filter::condition(field(schema, "customer"), test)),
        exists,
    }
}

/// Carries out a list on each of two servers, at a moment when both have looked and neither has
/// written: others hold a lock that keeps all from writing.
async fn both(
    database: &Database,
    servers: &[Storage; 2],
    lists: [Vec<Operation>; 2],
) -> Vec<Result<Outcome, StorageError>> {
    let admin = database.connect().await;
    let lock = "BEGIN; LOCK TABLE records.orders IN SHARE MODE";
    admin.batch_execute(lock).await.expect("a lock");
    let calls: Vec<_> = servers
        .iter()
        .zip(lists)
        .map(|(server, list)| {
            let server = server.clone();
            tokio::spawn(async move { execute(&server, list).await })
        })
        .collect();
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted \
                   AND relation = 'records.orders'::regclass";
    let since = Instant::now();
    let watch = database.connect().await;
    loop {
        let row = watch.query_one(waiting, &[]).await.expect("a count");
        if row.get::<_, i64>(0) == 2 {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "not both wait to write");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    admin.batch_execute("ROLLBACK").await.expect("no lock");
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.expect("no call panics"));
    }
    answers
}

/// Runs a test on two servers, whose lists wait for locks as long as it takes.
fn with_servers(test: impl AsyncFnOnce(&Database, &[Storage; 2], Arc<SchemaSnapshot>)) {
    with_fresh(async |database| {
        let mut options = database.options();
        options.lock_timeout = PATIENCE;
        // The one whose statements are ready.
        options.write_lanes = 1;
        options.query_timeout = PATIENCE;
        let servers = [open(options.clone()).await, open(options).await];
        let schema = orders();
        create(&servers[0], &schema).await;
        let rows = ["a", "b"].map(|name| row! { reference: name, customer: name });
        let rows = Operation::Create(batch(&schema, 0, rows.to_vec()));
        execute(&servers[0], vec![rows]).await.expect("two orders");
        // Both have their statements ready: to prepare one would wait for the lock as well, and
        // nothing would have been looked at then.
        for (server, n) in servers.iter().zip(10..) {
            let row = row! { reference: n.to_string() };
            let added = Operation::Create(batch(&schema, n, vec![row]));
            execute(server, vec![added]).await.expect("an order");
            let changed = vec![change(&schema, n, &n.to_string())];
            execute(server, changed).await.expect("a change");
        }
        test(database, &servers, schema).await;
        for server in servers {
            server.monitor.close().await;
        }
    });
}

fn change(schema: &Arc<SchemaSnapshot>, n: u64, reference: &str) -> Operation {
    Operation::Replace {
        batch: next(schema, nth_id(n), 2, row! { reference: reference }),
        expected: 1,
    }
}

/// G2-item, write skew: each looks at what the other changes, and both stand.
#[test]
fn lists_of_two_servers_that_look_at_each_other_may_both_stand() {
    with_servers(async |database, servers, schema| {
        let lists = [
            vec![assert(&schema, "b", true), change(&schema, 0, "a")],
            vec![assert(&schema, "a", true), change(&schema, 1, "b")],
        ];
        for answer in both(database, servers, lists).await {
            answer.expect("the level that is documented");
        }
    });
}

/// G2, phantoms: each looks for what the other adds, and both stand.
#[test]
fn lists_of_two_servers_that_look_for_each_other_may_both_stand() {
    with_servers(async |database, servers, schema| {
        let lists = [2, 3].map(|n| {
            let row = row! { reference: n.to_string(), customer: "new" };
            let added = Operation::Create(batch(&schema, n, vec![row]));
            vec![assert(&schema, "new", false), added]
        });
        for answer in both(database, servers, lists).await {
            answer.expect("the level that is documented");
        }
    });
}

/// P4: of two servers that change the same version, one is refused.
#[test]
fn of_two_servers_that_change_one_record_one_is_refused() {
    with_servers(async |database, servers, schema| {
        let lists = ["a", "a"].map(|name| vec![change(&schema, 0, name)]);
        let answers = both(database, servers, lists).await;
        let stand = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(stand, 1, "{answers:?}");
        let is_refusal = |answer: &Result<Outcome, StorageError>| {
            matches!(
                answer,
                Ok(_) | Err(StorageError::VersionMismatch { .. } | StorageError::Conflict)
            )
        };
        assert!(answers.iter().all(is_refusal), "{answers:?}");
    });
}
