//! An acknowledged write is durable whatever the database's own settings say.

use std::collections::BTreeSet;

use staffa_domain::{Operation, WriteMode};
use staffa_testkit::builders::{batch, next};
use staffa_testkit::conformance::support::{create, execute, write};
use staffa_testkit::schemas::{orders, well_production};
use staffa_testkit::{nth_id, row};

use crate::harness::{one, open, with_fresh};

/// Notes how the sessions that write, and those that change the catalog, are set up.
const WATCH: &str = "
CREATE TABLE public.seen (work text, commit text, idle text, vanished text);
CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.seen VALUES (TG_OP, current_setting('synchronous_commit'),
        current_setting('idle_in_transaction_session_timeout'),
        current_setting('client_connection_check_interval'));
    RETURN NULL;
END $$;
CREATE FUNCTION public.see_change() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.seen VALUES ('CHANGE', current_setting('synchronous_commit'),
        current_setting('idle_in_transaction_session_timeout'),
        current_setting('client_connection_check_interval'));
END $$;
CREATE EVENT TRIGGER seen ON ddl_command_end WHEN TAG IN ('CREATE INDEX')
    EXECUTE FUNCTION public.see_change();
CREATE TRIGGER seen AFTER INSERT OR UPDATE OR DELETE ON records.orders
    EXECUTE FUNCTION public.see();";

/// Writes in every way there is, with `setting` as the default, and checks what the sessions
/// had instead.
fn check(setting: &str, expected: &str) {
    with_fresh(async |database| {
        let admin = database.connect().await;
        // The strongest of the defaults: that of a role in a database.
        let set = "SELECT format('ALTER ROLE %I IN DATABASE %I SET synchronous_commit = ', \
                   current_user, current_database())";
        let set: String = admin.query_one(set, &[]).await.expect("a name").get(0);
        let set = format!("{set}{setting}");
        admin.batch_execute(&set).await.expect("a new default");
        let fresh = database.connect().await;
        let default = fresh.query_one("SHOW synchronous_commit", &[]).await;
        assert_eq!(default.expect("a setting").get::<_, &str>(0), setting);

        let storage = open(database.options()).await;
        let schema = orders();
        create(&storage, &schema).await;
        admin.batch_execute(WATCH).await.expect("a watch");
        create(&storage, &well_production()).await;
        execute(&storage, vec![one(&schema, 0)])
            .await
            .expect("a new record");
        let replace = Operation::Replace {
            batch: next(&schema, nth_id(0), 2, row! { reference: "a" }),
            expected: 1,
        };
        execute(&storage, vec![replace]).await.expect("a change");
        let given = batch(&schema, 10, vec![row! { reference: "b" }]);
        write(&storage, WriteMode::Insert, vec![given])
            .await
            .expect("a bulk");
        let given = batch(&schema, 20, vec![row! { reference: "b" }]);
        let upsert = WriteMode::Upsert { key: vec![0] };
        write(&storage, upsert, vec![given]).await.expect("a bulk");

        let seen = "SELECT work, commit, idle, vanished FROM public.seen";
        let seen = admin.query(seen, &[]).await.expect("what was seen");
        let works: BTreeSet<&str> = seen.iter().map(|row| row.get(0)).collect();
        assert_eq!(Vec::from_iter(works), ["CHANGE", "INSERT", "UPDATE"]);
        assert!(seen.len() >= 5, "every write was seen: {}", seen.len());
        for row in &seen {
            assert_eq!(row.get::<_, &str>(1), expected, "{row:?}");
            assert_ne!(row.get::<_, &str>(2), "0", "{row:?}");
            assert_ne!(row.get::<_, &str>(3), "0", "{row:?}");
        }
        storage.monitor.close().await;
    });
}

#[test]
fn commits_that_would_not_wait_for_the_disk_do() {
    check("off", "on");
}

#[test]
fn commits_that_wait_for_more_than_the_disk_still_do() {
    check("remote_apply", "remote_apply");
}
