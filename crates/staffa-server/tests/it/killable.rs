//! A PostgreSQL server that a test may kill: `STAFFA_TEST_POSTGRES_KILL_URL` names one that
//! nobody else uses, that runs as ourselves or lets us kill it, and that is started again by
//! whoever started it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::NoTls;

/// One test at a time: what one does to the server the others would feel.
static TURN: Mutex<()> = Mutex::new(());

/// How long the server may take to be there again.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Killable {
    url: String,
    _turn: MutexGuard<'static, ()>,
}

impl Killable {
    /// The server, once no other test has it; none, and a word about it, where there is none.
    pub(crate) fn take() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
        let Ok(url) = std::env::var("STAFFA_TEST_POSTGRES_KILL_URL") else {
            println!("skipped: STAFFA_TEST_POSTGRES_KILL_URL is not set");
            return None;
        };
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let server = Self { url, _turn: turn };
        server.wait();
        Some(server)
    }

    /// Makes a database, in place of one that an earlier run left, and answers its address.
    pub(crate) fn create(&self, name: &str, place: &str) -> String {
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        self.run("postgres", &drop).unwrap();
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 {place}");
        self.run("postgres", &create).unwrap();
        self.address(name)
    }

    fn address(&self, database: &str) -> String {
        let (address, parameters) = self.url.split_once('?').unwrap();
        let (base, _) = address.rsplit_once('/').unwrap();
        format!("{base}/{database}?{parameters}")
    }

    /// Runs statements in a database, and answers the first value of the last that has one.
    pub(crate) fn run(&self, database: &str, sql: &str) -> Result<String, tokio_postgres::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let (client, connection) =
                tokio_postgres::connect(&self.address(database), NoTls).await?;
            let driver = tokio::spawn(connection);
            let mut found = String::new();
            for message in client.simple_query(sql).await? {
                if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                    row.get(0).unwrap_or_default().clone_into(&mut found);
                }
            }
            drop(client);
            driver.await.unwrap()?;
            Ok(found)
        })
    }

    /// Waits until it lets us in.
    pub(crate) fn wait(&self) {
        let start = Instant::now();
        while let Err(error) = self.run("postgres", "SELECT 1") {
            assert!(start.elapsed() < PATIENCE, "it does not come back: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills one of the connections that a server has to a database, which takes the others
    /// with it: PostgreSQL cannot trust the memory that they share.
    pub(crate) fn kill_backend(&self, database: &str, which: u64) {
        let sql = format!(
            "SELECT pid FROM pg_stat_activity WHERE datname = '{database}' \
             AND application_name = 'staffa' AND backend_type = 'client backend' \
             ORDER BY pid OFFSET {which} % greatest(1, (SELECT count(*) FROM pg_stat_activity \
             WHERE datname = '{database}' AND application_name = 'staffa' \
             AND backend_type = 'client backend')) LIMIT 1"
        );
        kill(&self.run("postgres", &sql).unwrap());
    }

    /// Kills the server as a power cut would.
    pub(crate) fn kill_postmaster(&self) {
        let sql = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)";
        kill(&self.run("postgres", sql).unwrap());
    }

    /// A small file system that the server can write to, where there is one.
    pub(crate) fn small(&self) -> Option<PathBuf> {
        let data = self.run("postgres", "SHOW data_directory").unwrap();
        let small = Path::new(&data).parent()?.join("small");
        small.is_dir().then_some(small)
    }
}

fn kill(pid: &str) {
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}
