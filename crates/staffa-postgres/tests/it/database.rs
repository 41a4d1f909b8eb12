//! Databases of their own for tests, removed when the test ends.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::{Client, Config, NoTls};

use staffa_postgres::Options;

use crate::proxy::Proxy;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The server to test on, if there is one.
pub(crate) fn server() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
    std::env::var("STAFFA_TEST_POSTGRES_URL").ok()
}

/// A database that goes with this value.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
}

impl Database {
    pub(crate) async fn create() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("staffa_test_{}_{number}", std::process::id());
        let admin = connect("postgres").await;
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        admin.batch_execute(&drop).await.expect("no such database");
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        admin.batch_execute(&create).await.expect("a new database");
        Self { name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn options(&self) -> Options {
        Self::options_for(&self.name)
    }

    /// The options for another database of the server.
    pub(crate) fn options_for(name: &str) -> Options {
        let mut options = Options::new(address(name));
        options.pool_size = 4;
        options.stream_pool_size = 4;
        options
    }

    /// The options for this database by way of a relay.
    pub(crate) fn options_through(&self, proxy: &Proxy) -> Options {
        let config = self.config();
        let user = config.get_user().unwrap_or("postgres");
        let password = config.get_password().map(String::from_utf8_lossy);
        let password = password.map_or_else(String::new, |word| format!("password={word}"));
        let mut options = self.options();
        options.url = format!(
            "host=127.0.0.1 port={} dbname={} user={user} {password}",
            proxy.port(),
            self.name,
        );
        options
    }

    /// How the database is reached.
    pub(crate) fn config(&self) -> Config {
        address(&self.name).parse().expect("an address")
    }

    /// A connection of the test's own.
    pub(crate) async fn connect(&self) -> Client {
        connect(&self.name).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = self.name.clone();
        // The runtime of the test may be ending: this needs its own.
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                connect("postgres").await.batch_execute(&drop).await
            })
        });
        if !matches!(removed.join(), Ok(Ok(()))) {
            println!("the database {} is left behind", self.name);
        }
    }
}

fn address(database: &str) -> String {
    let server = server().expect("a test on a database has a server");
    if server.contains("://") {
        let (address, query) = server.split_once('?').unwrap_or((&server, ""));
        let (base, _) = address
            .rsplit_once('/')
            .expect("an address with a database");
        format!("{base}/{database}?{query}")
    } else {
        format!("{server} dbname={database}")
    }
}

async fn connect(database: &str) -> Client {
    let config: Config = address(database).parse().expect("an address");
    let (client, connection) = config.connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}
