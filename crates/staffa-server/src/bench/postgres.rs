//! A throw-away PostgreSQL cluster to measure against, where its programs are installed: a
//! private folder, a unix socket, and `fsync` on.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::data::{PROPERTIES, Row};

/// Debian keeps the programs here, one folder for each major version.
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";

const SETTINGS: &str = "
listen_addresses = ''
fsync = on
max_connections = 400
shared_buffers = 256MB
max_wal_size = 4GB
timezone = 'UTC'
";

/// A running cluster, stopped and removed when dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    programs: PathBuf,
    user: Option<(u32, u32)>,
    folder: TempDir,
}

impl Cluster {
    /// Starts a cluster; nothing where the programs are missing or may not run.
    pub(crate) fn start() -> anyhow::Result<Option<Self>> {
        let (Some(programs), Some(user)) = (newest(Path::new(DEBIAN_FOLDER)), server_user()?)
        else {
            return Ok(None);
        };
        // Not in the working folder: the server's user must reach it, and the path of a socket
        // has at most 107 bytes.
        let folder = tempfile::Builder::new()
            .prefix("staffa-pg-")
            .tempdir_in("/tmp")?;
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        let cluster = Self {
            programs,
            user,
            folder,
        };
        cluster.launch()?;
        Ok(Some(cluster))
    }

    /// The URL of a new, empty database.
    pub(crate) fn new_database(&self, name: &str) -> anyhow::Result<String> {
        self.sql(&format!("CREATE DATABASE {name}"))?;
        Ok(format!(
            "postgres:///{name}?host={}&user=postgres",
            self.folder.path().display()
        ))
    }

    /// Where it stores.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a table of the server's shape.
    pub(crate) fn table(&self, name: &str, keyed: bool) -> anyhow::Result<()> {
        let key = if keyed { "PRIMARY KEY" } else { "NOT NULL" };
        let columns = PROPERTIES.map(|(name, kind)| format!(", {name} {}", column_type(kind)));
        self.sql(&format!(
            "CREATE TABLE {name} (id uuid {key} DEFAULT gen_random_uuid(),
             created_at timestamptz NOT NULL DEFAULT now(),
             updated_at timestamptz NOT NULL DEFAULT now(),
             version bigint NOT NULL DEFAULT 1{})",
            columns.concat()
        ))?;
        Ok(())
    }

    /// Inserts single rows from `clients` connections and answers how many a second.
    pub(crate) fn insert_singles(
        &self,
        table: &str,
        clients: usize,
        time: Duration,
    ) -> anyhow::Result<f64> {
        self.script(&insert_script(table), clients, time)
    }

    /// Stores rows with the ids of [`super::raw::row_id`], from 1 on, and an index.
    pub(crate) fn fill(&self, table: &str, csv: &Path) -> anyhow::Result<()> {
        self.table(table, true)?;
        self.sql(&format!(
            "CREATE SEQUENCE {table}_ids CACHE 1000;
             ALTER TABLE {table} ALTER COLUMN id SET DEFAULT {}",
            id_text(&format!("nextval('{table}_ids')"))
        ))?;
        self.copy_in(table, csv)?;
        self.sql(&format!(
            "CREATE INDEX ON {table} ({})",
            super::data::INDEXED[0]
        ))?;
        // In two statements: the first one may not share a transaction with anything.
        self.sql(&format!("VACUUM ANALYZE {table}"))?;
        self.sql("CHECKPOINT")?;
        Ok(())
    }

    /// Asks `SELECT * FROM table` with a condition on a random id, `{id}`, of the first `rows`,
    /// from `clients` connections, and answers how often a second.
    pub(crate) fn select(
        &self,
        (table, condition): (&str, &str),
        rows: u64,
        clients: usize,
        time: Duration,
    ) -> anyhow::Result<f64> {
        let condition = condition.replace("{id}", &id_text("CAST(:n AS bigint)"));
        let script =
            format!("\\set n random(1, {rows})\nSELECT * FROM {table} WHERE {condition};\n");
        self.script(&script, clients, time)
    }

    fn script(&self, text: &str, clients: usize, time: Duration) -> anyhow::Result<f64> {
        let script = self.folder.path().join("script.sql");
        fs::write(&script, text)?;
        let mut pgbench = self.command("pgbench");
        pgbench
            .args([
                "-n",
                "-M",
                "prepared",
                "-j",
                "2",
                "-c",
                &clients.to_string(),
            ])
            .args(["-T", &time.as_secs().max(1).to_string(), "-f"])
            .arg(&script)
            .arg("postgres");
        let said = run(&mut pgbench).context("pgbench failed")?;
        rate(&said).with_context(|| format!("pgbench said no rate: {said}"))
    }

    /// Copies a CSV file into a table.
    pub(crate) fn copy_in(&self, table: &str, file: &Path) -> anyhow::Result<Duration> {
        let columns = PROPERTIES.map(|(name, _)| name).join(", ");
        let file = file.display();
        self.sql(&format!(
            "\\copy {table} ({columns}) FROM '{file}' (FORMAT csv, HEADER)"
        ))
    }

    /// Copies a table out through the socket.
    pub(crate) fn copy_out(&self, table: &str) -> anyhow::Result<Duration> {
        self.sql(&format!("\\copy {table} TO '/dev/null' (FORMAT csv)"))
    }

    /// Runs a statement and answers how long that took, the start of `psql` included.
    pub(crate) fn sql(&self, statement: &str) -> anyhow::Result<Duration> {
        let mut psql = self.command("psql");
        psql.args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            "postgres",
            "-c",
            statement,
        ]);
        let started = Instant::now();
        run(&mut psql).context("psql failed")?;
        Ok(started.elapsed())
    }

    /// A client program, which finds the cluster by itself.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .env("PGHOST", self.folder.path())
            .env("PGUSER", "postgres");
        command
    }

    fn launch(&self) -> anyhow::Result<()> {
        let data = self.folder.path().join("data");
        let mut initdb = self.as_server("initdb");
        initdb
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
            ])
            .args(["--no-locale", "--pgdata"])
            .arg(&data);
        run(&mut initdb).context("initdb failed")?;
        let mut file = OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))?;
        let folder = self.folder.path().display();
        writeln!(file, "{SETTINGS}unix_socket_directories = '{folder}'")?;
        let mut start = self.as_server("pg_ctl");
        start
            .args(["start", "--wait", "--timeout=60", "--silent", "--pgdata"])
            .arg(&data);
        start
            .arg("--log")
            .arg(self.folder.path().join("server.log"));
        // Not captured: the server would hold the pipe open for all its life.
        start
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        ensure!(start.status()?.success(), "PostgreSQL did not start");
        Ok(())
    }

    /// A program that runs as the server's user.
    fn as_server(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path());
        if let Some((uid, gid)) = self.user {
            command.gid(gid).uid(uid);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = self.as_server("pg_ctl");
        stop.args(["stop", "--mode=immediate", "--silent", "--pgdata"]);
        stop.arg(self.folder.path().join("data"));
        // A cluster that does not stop has nothing that is worth keeping.
        let _ = run(&mut stop);
    }
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn newest(versions: &Path) -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(versions)
        .ok()?
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            let whole = ["initdb", "pg_ctl", "pgbench", "psql"];
            whole
                .iter()
                .all(|name| folder.join(name).is_file())
                .then_some((version, folder))
        })
        .collect();
    found.sort_by_key(|(version, _)| *version);
    found.pop().map(|(_, folder)| folder)
}

/// Whom the server runs as: ourselves (`Some(None)`), or the user `postgres` since it refuses
/// root; nothing where that user is missing.
#[expect(
    clippy::option_option,
    reason = "whether there is one, and whether it is another"
)]
fn server_user() -> anyhow::Result<Option<Option<(u32, u32)>>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(Some(None));
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users
        .lines()
        .find_map(|line| line.strip_prefix("postgres:"));
    let ids = line.and_then(|line| {
        let mut parts = line.split(':').skip(1);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    });
    Ok(ids.map(Some))
}

fn column_type(kind: &str) -> &'static str {
    match kind {
        "integer" => "bigint",
        "number" => "double precision",
        "datetime" => "timestamptz",
        "object" => "jsonb",
        _ => "text",
    }
}

/// One row of the benchmark with another well at each turn.
fn insert_script(table: &str) -> String {
    use staffa_duckdb::reference::RawValue;
    let columns = PROPERTIES.map(|(name, _)| name).join(", ");
    let values =
        Row::new(500_000)
            .values()
            .into_iter()
            .zip(PROPERTIES)
            .map(|(value, (name, _))| {
                match value {
                    _ if name == "well_code" => ":well".to_owned(),
                    // A colon may start a variable of the script.
                    RawValue::Text(text) if name == "production_period" => {
                        format!("'{}'", &text[..10])
                    }
                    RawValue::Text(text) => format!("'{text}'"),
                    RawValue::Integer(value) => value.to_string(),
                    RawValue::Number(value) => value.to_string(),
                }
            });
    let values: Vec<String> = values.collect();
    format!(
        "\\set well random(1, 1000000)\nINSERT INTO {table} ({columns}) VALUES ({});\n",
        values.join(", ")
    )
}

/// An expression for the id that belongs to a number.
fn id_text(number: &str) -> String {
    format!("('018f0000-0000-7000-8000-' || lpad(to_hex({number}), 12, '0'))::uuid")
}

fn rate(said: &str) -> Option<f64> {
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{insert_script, rate};

    #[test]
    fn the_rate_is_found_in_what_was_said() {
        let said = "latency average = 1 ms\ntps = 15123.5 (without initial connection time)\n";
        assert!(rate(said).is_some_and(|rate| (rate - 15_123.5).abs() < 1e-9));
        assert_eq!(rate("nothing"), None);
    }

    #[test]
    fn the_script_inserts_one_row() {
        let script = insert_script("t");
        assert!(script.starts_with("\\set well random"));
        assert!(script.contains("INSERT INTO t (field_code, _field_name"));
        assert!(script.contains(", :well, '"));
        assert!(script.contains("{\"test\":\"data_500000\"}"));
    }
}
