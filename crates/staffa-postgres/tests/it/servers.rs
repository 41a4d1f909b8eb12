//! Several servers on one database.

use std::sync::Arc;

use futures_util::future::join_all;

use staffa_domain::ports::{EngineState, SchemaChange, Storage};
use staffa_domain::{Operation, StorageError};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{create, execute};
use staffa_testkit::row;
use staffa_testkit::schemas::orders;

use crate::database::Database;
use crate::harness::{open, with_database, with_fresh};

#[test]
fn another_server_hears_of_a_change_and_refuses_the_old_version() {
    with_database(async |storage, database| {
        let other = open(database.options()).await;
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
        let opened: Vec<Storage> = join_all((0..8).map(|_| open(database.options()))).await;
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
fn servers_share_a_secret_that_no_other_database_has() {
    with_fresh(async |database| {
        let opening = (0..8).map(|_| staffa_postgres::open(database.options()));
        let opened = join_all(opening).await.into_iter();
        let opened: Vec<_> = opened.map(|opened| opened.expect("a storage")).collect();
        let secret = opened[0].secret.as_bytes();
        assert_eq!(secret.len(), 32);
        for other in &opened {
            assert_eq!(other.secret.as_bytes(), secret);
            assert!(!format!("{other:?}").contains(&format!("{:?}", &secret[..4])));
        }
        let elsewhere = Database::create().await;
        let other = staffa_postgres::open(elsewhere.options()).await;
        let other = other.expect("a storage");
        assert_ne!(other.secret.as_bytes(), secret);
        for opened in opened.iter().chain([&other]) {
            opened.storage.monitor.close().await;
        }
    });
}

#[test]
fn a_database_that_cannot_hold_all_text_is_refused() {
    with_fresh(async |database| {
        let admin = database.connect().await;
        let name = format!("{}_latin", database.name());
        let create =
            format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
        admin.batch_execute(&create).await.expect("a database");
        let opened = staffa_postgres::open(Database::options_for(&name)).await;
        let error = opened.expect_err("no storage").to_string();
        assert!(error.contains("LATIN1"), "{error}");
        let drop = format!("DROP DATABASE {name} WITH (FORCE)");
        admin.batch_execute(&drop).await.expect("no database");
    });
}
