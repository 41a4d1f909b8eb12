//! A throw-away PostgreSQL cluster for one test run: private folder, unix socket only, fsync on.
//! It finds or installs the server; what the tests do with it is theirs.

mod binaries;
mod guardian;
mod killable;
mod user;

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::output;
use binaries::Binaries;
use guardian::Guardian;
pub(crate) use killable::KillableCluster;
use user::ServerUser;

/// `fsync` stays on, as in production: what the tests learn about durability must be true.
const SETTINGS: &str = "
listen_addresses = ''
fsync = on
max_connections = 200
shared_buffers = 128MB
timezone = 'UTC'
";

/// A running cluster. Dropping it stops the server and removes its folder.
#[derive(Debug)]
pub(crate) struct PostgresCluster {
    folder: PathBuf,
    _guardian: Guardian,
}

impl PostgresCluster {
    /// Starts a cluster, or answers `None` after saying why there can be none.
    ///
    /// # Errors
    /// When PostgreSQL is there but the cluster does not start.
    pub(crate) fn start() -> anyhow::Result<Option<Self>> {
        let Some(binaries) = binaries::find_or_install()? else {
            output::warning(
                "PostgreSQL tests are skipped: neither initdb nor pg_ctl was found, and they \
                 could not be installed",
            );
            return Ok(None);
        };
        let user = ServerUser::choose()?;
        let folder = create_folder(&user)?;
        // The guardian comes first, so that a failure below is cleaned up as well.
        let guardian = Guardian::watch(&folder, &binaries, &user)?;
        init(&folder, &binaries, &user)?;
        launch(&folder, &binaries, &user)?;
        output::note(&format!(
            "PostgreSQL of {} is ready",
            binaries.folder().display()
        ));
        Ok(Some(Self {
            folder,
            _guardian: guardian,
        }))
    }

    /// The address of the cluster's database as the tests expect it.
    pub(crate) fn url(&self) -> String {
        url(&self.folder)
    }
}

fn url(folder: &Path) -> String {
    format!(
        "postgres:///postgres?host={}&user=postgres",
        folder.display()
    )
}

/// Makes a new folder for the server's user alone. The path is short on purpose: the socket lies
/// in it, and the path of a socket has at most 107 bytes.
fn create_folder(user: &ServerUser) -> anyhow::Result<PathBuf> {
    for attempt in 0..100 {
        let folder = PathBuf::from(format!("/tmp/staffa-pg-{}-{attempt}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => {
                chown(&folder, Some(user.uid()), Some(user.gid()))
                    .with_context(|| format!("could not hand over {}", folder.display()))?;
                return Ok(folder);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).context("could not create a folder for PostgreSQL"),
        }
    }
    anyhow::bail!("/tmp is full of left-over PostgreSQL folders")
}

fn init(folder: &Path, binaries: &Binaries, user: &ServerUser) -> anyhow::Result<()> {
    let mut initdb = Command::new(binaries.initdb());
    initdb
        .args([
            "--data-checksums",
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
        ])
        .args(["--encoding=UTF8", "--no-locale", "--pgdata"])
        .arg(data_folder(folder))
        .current_dir(folder);
    run_quietly(user.run_as(&mut initdb)).context("initdb failed")?;

    let path = data_folder(folder).join("postgresql.conf");
    let mut configuration = OpenOptions::new().append(true).open(path)?;
    writeln!(
        configuration,
        "{SETTINGS}unix_socket_directories = '{}'",
        folder.display()
    )?;
    Ok(())
}

fn launch(folder: &Path, binaries: &Binaries, user: &ServerUser) -> anyhow::Result<()> {
    let log = folder.join("server.log");
    let mut pg_ctl = Command::new(binaries.pg_ctl());
    pg_ctl
        .arg("start")
        .args(["--wait", "--timeout=60", "--silent", "--pgdata"]);
    pg_ctl
        .arg(data_folder(folder))
        .arg("--log")
        .arg(&log)
        .current_dir(folder);
    // Not captured: the server would inherit the pipe and hold it open for its whole life.
    user.run_as(&mut pg_ctl)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = pg_ctl.status().context("could not start pg_ctl")?;
    ensure!(
        status.success(),
        "PostgreSQL did not start:\n{}",
        std::fs::read_to_string(&log).unwrap_or_default()
    );
    Ok(())
}

fn run_quietly(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn data_folder(folder: &Path) -> PathBuf {
    folder.join("data")
}
