//! Runs a test on an open storage over a database of its own, or skips it.

use std::sync::Arc;

use staffa_domain::ports::Storage;
use staffa_domain::{Operation, SchemaSnapshot};
use staffa_postgres::Options;
use staffa_testkit::builders::batch;
use staffa_testkit::row;

use crate::database::{self, Database};
use crate::proxy::Proxy;

/// Opens a storage that must open.
pub(crate) async fn open(options: Options) -> Storage {
    let opened = staffa_postgres::open(options).await;
    opened.expect("an open storage").storage
}

/// Runs a test on a database of its own, or skips it.
pub(crate) fn with_fresh(test: impl AsyncFnOnce(&Database)) {
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
pub(crate) fn with_database(test: impl AsyncFnOnce(Storage, &Database)) {
    with_fresh(async |database| {
        let storage = open(database.options()).await;
        test(storage.clone(), database).await;
        storage.monitor.close().await;
    });
}

/// Runs a test on an open storage with a relay before it, or skips it.
pub(crate) fn with_proxy(test: impl AsyncFnOnce(Storage, &Proxy)) {
    with_fresh(async |database| {
        let proxy = Proxy::start(database.config()).await;
        let storage = open(database.options_through(&proxy)).await;
        test(storage.clone(), &proxy).await;
        storage.monitor.close().await;
    });
}

/// A new order, the `n`th.
pub(crate) fn one(schema: &Arc<SchemaSnapshot>, n: u64) -> Operation {
    Operation::Create(batch(schema, n, vec![row! { reference: n.to_string() }]))
}
