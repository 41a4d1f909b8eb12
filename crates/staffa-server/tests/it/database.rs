//! Databases of their own on the server that `STAFFA_TEST_POSTGRES_URL` names, where there is one.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::NoTls;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database that goes with this value.
#[derive(Debug)]
pub(crate) struct Database {
    server: String,
    name: String,
    url: String,
}

impl Database {
    /// A new and empty one; none, and a word about it, where there is no server.
    pub(crate) fn create() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
        let Ok(server) = std::env::var("STAFFA_TEST_POSTGRES_URL") else {
            println!("skipped: STAFFA_TEST_POSTGRES_URL is not set");
            return None;
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("staffa_server_{}_{number}", std::process::id());
        execute(
            &server,
            &format!("CREATE DATABASE {name} TEMPLATE template0"),
        );
        let url = url(&server, &name);
        Some(Self { server, name, url })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        execute(
            &self.server,
            &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name),
        );
    }
}

/// The server is named by a URL, or by keys and values (`host=/run/postgresql user=postgres`).
fn url(server: &str, database: &str) -> String {
    if server.contains("://") {
        let (address, parameters) = server.split_once('?').unwrap_or((server, ""));
        let (base, _) = address.rsplit_once('/').unwrap();
        return format!("{base}/{database}?{parameters}");
    }
    let pairs = server
        .split_whitespace()
        .filter(|pair| !pair.starts_with("dbname="));
    let parameters: Vec<String> = pairs.map(|pair| pair.replace('/', "%2F")).collect();
    format!("postgres:///{database}?{}", parameters.join("&"))
}

fn execute(server: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(server, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    });
}
