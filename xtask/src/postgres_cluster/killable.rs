//! A second cluster, that tests may kill: a keeper starts it again whenever it is gone.

use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::binaries::{self, Binaries};
use super::user::{self, ServerUser};
use super::{create_folder, init, url};
use crate::output;

/// Starts the server again and again until our end of the pipe closes, on drop or because we
/// were killed; then stops it and removes the folder. Where it may, it mounts a small file
/// system first, to be filled by tests, in a mount namespace that ends with this script.
const SCRIPT: &str = r#"
bin=$1 folder=$2 uid=$3 gid=$4 may_mount=$5
shift 5
if [ "$may_mount" = true ]; then
    mkdir "$folder/small"
    mount -t tmpfs -o "size=48m,mode=700,uid=$uid,gid=$gid" tmpfs "$folder/small" ||
        rmdir "$folder/small"
fi
while :; do
    "$@" "$bin/postgres" -D "$folder/data" </dev/null >>"$folder/server.log" 2>&1
    sleep 0.1
done &
keeper=$!
read -r _
kill "$keeper"
"$@" "$bin/pg_ctl" stop --mode=immediate --silent --pgdata "$folder/data"
umount "$folder/small" 2>/dev/null
rm -rf "$folder"
"#;

const UNSHARED: [&str; 3] = ["--mount", "--propagation", "private"];
const PATIENCE: Duration = Duration::from_secs(60);

/// A running cluster that comes back. Dropping it stops the server and removes its folder.
#[derive(Debug)]
pub(crate) struct KillableCluster {
    folder: PathBuf,
    keeper: Child,
}

impl KillableCluster {
    /// Starts a cluster; `None` where there can be none, of which the other cluster has told.
    ///
    /// # Errors
    /// When PostgreSQL is there but the cluster does not start.
    pub(crate) fn start() -> anyhow::Result<Option<Self>> {
        let Some(binaries) = binaries::find_or_install()? else {
            return Ok(None);
        };
        let user = ServerUser::choose()?;
        let folder = create_folder(&user)?;
        init(&folder, &binaries, &user)?;
        let keeper = keep(&folder, &binaries, &user)?;
        let cluster = Self { folder, keeper };
        cluster.wait()?;
        output::note("PostgreSQL to be killed by tests is ready");
        Ok(Some(cluster))
    }

    /// The address of the cluster's database as the tests expect it.
    pub(crate) fn url(&self) -> String {
        url(&self.folder)
    }

    fn wait(&self) -> anyhow::Result<()> {
        let socket = self.folder.join(".s.PGSQL.5432");
        let start = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            let log = || std::fs::read_to_string(self.folder.join("server.log"));
            ensure!(
                start.elapsed() < PATIENCE,
                "PostgreSQL did not start:\n{}",
                log().unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for KillableCluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        if let Err(error) = self.keeper.wait() {
            output::warning(&format!("the keeper of a cluster was lost: {error}"));
        }
    }
}

/// As root the keeper stays root, to mount and to unmount, and the server is started as its
/// own user.
fn keep(folder: &Path, binaries: &Binaries, user: &ServerUser) -> anyhow::Result<Child> {
    let is_root = user::is_root()?;
    let may_mount = is_root && has_mounts_of_its_own();
    let mut command = if may_mount {
        let mut command = Command::new("unshare");
        command.args(UNSHARED).arg("/bin/sh");
        command
    } else {
        Command::new("/bin/sh")
    };
    command
        .args(["-c", SCRIPT, "keeper"])
        .arg(binaries.folder())
        .arg(folder)
        .args([user.uid().to_string(), user.gid().to_string()])
        .arg(may_mount.to_string());
    if is_root {
        command.args([
            "setpriv".to_owned(),
            format!("--reuid={}", user.uid()),
            format!("--regid={}", user.gid()),
            "--clear-groups".to_owned(),
        ]);
    }
    command
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Its own process group, so that Ctrl-C ends us and not the one who cleans up after us.
    command.process_group(0);
    command
        .spawn()
        .context("could not start the keeper of a cluster")
}

/// Whether a process may have mounts that no other sees: not in every container.
fn has_mounts_of_its_own() -> bool {
    let mut command = Command::new("unshare");
    command.args(UNSHARED).arg("/bin/true");
    let status = command.stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
