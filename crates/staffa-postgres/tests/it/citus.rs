//! Schemas spread over a cluster. `STAFFA_TEST_CITUS_URL` names a database on a coordinator
//! with the extension and at least two workers; what Staffa keeps there is removed.

use std::sync::Arc;

use arrow_array::RecordBatch;
use futures_util::TryStreamExt;
use tokio::sync::MutexGuard;
use tokio_postgres::NoTls;

use staffa_domain::ports::{SchemaChange, Storage};
use staffa_domain::query::{Aggregate, Bucket, Group, Metric, MetricKind};
use staffa_domain::{
    Field, Operation, PropertyType, RecordQuery, SchemaSnapshot, StorageError, Value, WriteMode,
};
use staffa_postgres::{Distribution, Options};
use staffa_testkit::builders::{batch, next};
use staffa_testkit::conformance::support::{all, create, execute, write};
use staffa_testkit::schemas::{SchemaBuilder, array, decimal, orders};
use staffa_testkit::{assert_fails, nth_id, row};

/// One test at a time: all share the cluster's database.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Cases that rest on what a cluster refuses: a key that changes where it distributes, or
/// something unique beside it; on a snapshot of all shards, which there is none of; and on
/// the place of a duplicate in a bulk, which the nodes do not tell.
const REFUSED: &[&str] = &[
    "a_replace_keeps_identity",
    "operations_see_earlier_ones",
    "unique_values_are_kept",
    "an_upsert_keeps_other_unique_values",
    "parts_need_their_key_alone",
    "a_stream_is_one_snapshot",
    "a_question_sees_one_moment",
    "lists_are_seen_whole",
    "taken_values_are_left_out",
    "undone_sessions_tell_all",
    "only_so_many_are_told",
    "changes_that_take_other_values_are_left_out",
    "a_session_fails_at_the_first",
    "a_duplicate_undoes_the_session",
    "random_changes_match_the_reference",
];

/// The cluster's database, emptied; nothing where there is no cluster.
async fn open_empty() -> Option<(Storage, MutexGuard<'static, ()>)> {
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
    let Ok(url) = std::env::var("STAFFA_TEST_CITUS_URL") else {
        println!("skipped: STAFFA_TEST_CITUS_URL is not set");
        return None;
    };
    let turn = TURN.lock().await;
    let connected = tokio_postgres::connect(&url, NoTls).await;
    let (admin, connection) = connected.expect("a coordinator");
    tokio::spawn(connection);
    for schema in ["records", "staffa"] {
        let drop = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
        admin.batch_execute(&drop).await.expect("an empty database");
    }
    let mut options = Options::new(url);
    options.distribution = Distribution::Citus;
    Some((crate::harness::open(options).await, turn))
}

fn with_cluster(test: impl AsyncFnOnce(Storage)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let Some((storage, _turn)) = open_empty().await else {
            return;
        };
        test(storage.clone()).await;
        storage.monitor.close().await;
    });
}

mod conformance {
    //! The suite over schemas that are spread.

    use staffa_testkit::conformance::Fixture;
    use staffa_testkit::storage_conformance;

    async fn open() -> Option<Fixture> {
        let (storage, turn) = super::open_empty().await?;
        Some(Fixture::new(storage).keep(turn).spread(super::REFUSED))
    }

    storage_conformance!(open);
}

/// Bookings of tenants, whose keys hold the tenant.
fn bookings() -> Arc<SchemaSnapshot> {
    SchemaBuilder::new("bookings")
        .required("tenant", PropertyType::String)
        .required("code", PropertyType::Integer)
        .optional("amount", decimal(12, 2))
        .optional("tags", array(PropertyType::String))
        .primary_key(&["tenant", "code"])
        .distributed_by("tenant")
        .snapshot()
}

/// Two bookings of each of ten tenants, the ids from 0 to 19.
async fn twenty(storage: &Storage) -> Arc<SchemaSnapshot> {
    let schema = bookings();
    create(storage, &schema).await;
    let rows = (0..20_i64)
        .map(|n| row! { tenant: format!("t{}", n / 2), code: n, amount: Value::Decimal(100) })
        .collect();
    execute(storage, vec![Operation::Create(batch(&schema, 0, rows))])
        .await
        .expect("new records");
    schema
}

#[test]
fn uniqueness_that_a_cluster_cannot_keep_is_refused() {
    with_cluster(async |storage| {
        let create = SchemaChange::Create {
            to: orders(),
            document: String::new(),
        };
        assert_fails!(
            storage.catalog.apply(create).await,
            StorageError::Unsupported(message)
                if message.contains("distribute by") && message.contains("drop the uniqueness")
        );
        assert_eq!(storage.catalog.load().await.expect("schemas"), Vec::new());
    });
}

#[test]
fn short_writes_reach_every_shard() {
    with_cluster(async |storage| {
        let schema = twenty(&storage).await;
        let tags = Value::Array(vec![Value::String("x".to_owned())]);
        let replace = |code: i64, tenant: &str, expected: i64| {
            let row = row! { tenant: tenant, code: code, tags: tags.clone() };
            let id = nth_id(code.unsigned_abs());
            Operation::Replace {
                batch: next(&schema, id, expected + 1, row),
                expected,
            }
        };
        let delete = Operation::Delete {
            schema: Arc::clone(&schema),
            id: nth_id(7),
            expected: Some(1),
        };
        let operations = vec![replace(0, "t0", 1), replace(19, "t9", 1), delete];
        execute(&storage, operations).await.expect("changes");
        assert_fails!(
            execute(&storage, vec![replace(0, "t0", 1)]).await,
            StorageError::VersionMismatch {
                operation: 0,
                current: 2
            }
        );
        assert_fails!(
            execute(&storage, vec![replace(1, "elsewhere", 1)]).await,
            StorageError::Unsupported(_)
        );
        let rows = vec![
            row! { tenant: "t3", code: 100 },
            row! { tenant: "t4", code: 9 },
        ];
        let taken = Operation::Create(batch(&schema, 50, rows));
        assert_fails!(
            execute(&storage, vec![taken]).await,
            StorageError::UniqueViolation { violation }
                if violation.index == Some(51) && violation.properties == ["tenant", "code"]
        );
        let records = all(&storage, &schema).await;
        assert_eq!(records.len(), 19);
        assert_eq!((records[0].version, &records[0].values[3]), (2, &tags));
        let ids = [nth_id(0), nth_id(7), nth_id(18)];
        let found = storage.reader.get(&schema, &ids).await.expect("records");
        assert_eq!(found.num_rows(), 2);
    });
}

#[test]
fn sessions_reach_every_shard() {
    with_cluster(async |storage| {
        let schema = twenty(&storage).await;
        let key = vec![0, 1];
        let rows = |codes: std::ops::Range<i64>| {
            let row = |n: i64| row! { tenant: format!("t{}", n / 2), code: n };
            codes.map(row).collect::<Vec<_>>()
        };
        let upsert = WriteMode::Upsert { key: key.clone() };
        let given = batch(&schema, 100, rows(10..30));
        let receipt = write(&storage, upsert, vec![given]).await.expect("a write");
        assert_eq!((receipt.inserted, receipt.updated), (10, 10));
        let update = WriteMode::Update { key: key.clone() };
        let given = batch(&schema, 200, rows(25..35));
        assert_fails!(
            write(&storage, update, vec![given]).await,
            StorageError::RecordNotFound { operation: 205 }
        );
        let given = batch(&schema, 200, rows(0..5));
        let delete = WriteMode::Delete { key };
        let receipt = write(&storage, delete, vec![given]).await.expect("a write");
        assert_eq!(receipt.deleted, 5);
        let given = batch(&schema, 300, rows(40..50));
        write(&storage, WriteMode::Insert, vec![given])
            .await
            .expect("a write");
        let given = batch(&schema, 400, rows(49..52));
        assert_fails!(
            write(&storage, WriteMode::Insert, vec![given]).await,
            StorageError::UniqueViolation { violation }
                if violation.index.is_none() && violation.properties == ["tenant", "code"]
        );
        let query = RecordQuery::all(Arc::clone(&schema));
        let stream = storage.reader.scan(query).await.expect("a stream");
        let batches: Vec<_> = stream.try_collect().await.expect("all records");
        let records: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(records, 35);
    });
}

#[test]
fn figures_are_gathered_from_every_shard() {
    with_cluster(async |storage| {
        let schema = twenty(&storage).await;
        let metric = |kind, name: &str| Metric {
            name: format!("{kind:?}"),
            kind,
            field: Field::find(&schema, name),
        };
        let question = Aggregate {
            schema: Arc::clone(&schema),
            filter: None,
            group_by: vec![Group {
                name: "amount".to_owned(),
                field: Field::Property(2),
                bucket: Bucket::Value,
            }],
            metrics: vec![
                metric(MetricKind::Count, "code"),
                metric(MetricKind::CountDistinct, "tenant"),
                metric(MetricKind::Sum, "amount"),
                metric(MetricKind::Stddev, "code"),
                metric(MetricKind::Median, "code"),
            ],
            having: Vec::new(),
            sort: Vec::new(),
            limit: 10,
        };
        let answer = storage.reader.aggregate(question).await.expect("figures");
        assert_eq!(answer.num_rows(), 1);
        let count = storage.reader.count(&schema, None, false).await;
        assert_eq!(count.expect("a count").records, 20);
    });
}
