//! A database without room: writes are refused as that, reads go on, and it is noticed by
//! itself when there is room again. The server is made to say that it has none.

use std::time::Duration;

use tokio_postgres::Client;

use staffa_domain::ports::{EngineState, Storage};
use staffa_domain::{StorageError, WriteMode};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{all, create, execute, write};
use staffa_testkit::schemas::orders;
use staffa_testkit::{assert_fails, row};

use crate::harness::{one, with_database};

/// A statement that adds records fails as on a full disk.
const AT_THE_STATEMENT: &str = "CREATE TRIGGER fill BEFORE INSERT ON records.orders \
     EXECUTE FUNCTION public.fill()";
/// The commit fails so.
const AT_THE_COMMIT: &str = "CREATE CONSTRAINT TRIGGER fill AFTER INSERT ON records.orders \
     DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.fill()";
const NO_FAULT: &str = "DROP TRIGGER fill ON records.orders";

/// What new tables fail with; how often one was tried is counted by what no rollback undoes.
async fn refuse_new_tables(admin: &Client, code: &str) {
    let sql = format!(
        "CREATE SEQUENCE public.tries;
         CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM nextval('public.tries');
             RAISE EXCEPTION 'refused' USING ERRCODE = '{code}';
         END $$;
         CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE TABLE AS')
             EXECUTE FUNCTION public.refuse();"
    );
    admin.batch_execute(&sql).await.expect("a fault");
}

async fn prepare(admin: &Client) {
    let sql = "CREATE FUNCTION public.fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$";
    admin.batch_execute(sql).await.expect("a function");
}

/// Waits for a state that comes by itself.
async fn until(storage: &Storage, state: EngineState) {
    for _ in 0..3_000 {
        if storage.monitor.state() == state {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it stays {:?}", storage.monitor.state());
}

#[test]
fn every_write_says_that_there_is_no_room_and_reads_go_on() {
    with_database(async |storage, database| {
        let admin = database.connect().await;
        let schema = orders();
        create(&storage, &schema).await;
        prepare(&admin).await;
        execute(&storage, vec![one(&schema, 0)])
            .await
            .expect("a write before");
        refuse_new_tables(&admin, "53100").await;
        for fault in [AT_THE_STATEMENT, AT_THE_COMMIT] {
            admin.batch_execute(fault).await.expect("a fault");
            assert_fails!(
                execute(&storage, vec![one(&schema, 1)]).await,
                StorageError::StorageFull
            );
            assert_eq!(storage.monitor.state(), EngineState::Full);
            for mode in [WriteMode::Insert, WriteMode::Upsert { key: vec![0] }] {
                let given = batch(&schema, 2, vec![row! { reference: "b" }]);
                assert_fails!(
                    write(&storage, mode, vec![given]).await,
                    StorageError::StorageFull
                );
            }
            assert_eq!(all(&storage, &schema).await.len(), 1);
            admin.batch_execute(NO_FAULT).await.expect("no fault");
        }
    });
}

#[test]
fn it_stays_full_until_there_is_room_and_no_longer() {
    with_database(async |storage, database| {
        let admin = database.connect().await;
        let schema = orders();
        create(&storage, &schema).await;
        prepare(&admin).await;
        refuse_new_tables(&admin, "53100").await;
        admin
            .batch_execute(AT_THE_STATEMENT)
            .await
            .expect("a fault");
        assert_fails!(
            execute(&storage, vec![one(&schema, 0)]).await,
            StorageError::StorageFull
        );
        let mut tries: i64 = 0;
        while tries < 3 {
            let last = admin
                .query_one("SELECT last_value FROM public.tries", &[])
                .await;
            tries = last.expect("a number").get(0);
            assert_eq!(storage.monitor.state(), EngineState::Full);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let over = format!("{NO_FAULT}; DROP EVENT TRIGGER refuse");
        admin.batch_execute(&over).await.expect("no fault");
        // No request comes meanwhile.
        until(&storage, EngineState::Ready).await;
        execute(&storage, vec![one(&schema, 0)])
            .await
            .expect("a write after");
        let tables = "SELECT count(*) FROM pg_class WHERE relname = 'room'";
        let left: i64 = admin.query_one(tables, &[]).await.expect("a count").get(0);
        assert_eq!(left, 0, "what was tried leaves nothing behind");
    });
}

#[test]
fn where_it_cannot_be_told_requests_find_out() {
    with_database(async |storage, database| {
        let admin = database.connect().await;
        let schema = orders();
        create(&storage, &schema).await;
        prepare(&admin).await;
        // As for a role that may not make tables any more.
        refuse_new_tables(&admin, "42501").await;
        admin
            .batch_execute(AT_THE_STATEMENT)
            .await
            .expect("a fault");
        assert_fails!(
            execute(&storage, vec![one(&schema, 0)]).await,
            StorageError::StorageFull
        );
        until(&storage, EngineState::Ready).await;
        admin.batch_execute(NO_FAULT).await.expect("no fault");
        execute(&storage, vec![one(&schema, 0)])
            .await
            .expect("a write after");
    });
}
