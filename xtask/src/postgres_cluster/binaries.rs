//! Finds `initdb` and `pg_ctl`, and as root on a Debian machine installs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::user;
use crate::{output, workspace};

/// Debian keeps the server's commands here, one folder per major version, and off the PATH.
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";

/// A folder that holds both commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    fn in_folder(folder: PathBuf) -> Option<Self> {
        let binaries = Self { folder };
        (binaries.initdb().is_file() && binaries.pg_ctl().is_file()).then_some(binaries)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub(crate) fn pg_ctl(&self) -> PathBuf {
        self.folder.join("pg_ctl")
    }
}

/// Answers the newest installed PostgreSQL, installing one when there is none and it is possible.
///
/// # Errors
/// When the package manager could not be started; an installation that fails answers `None`.
pub(crate) fn find_or_install() -> anyhow::Result<Option<Binaries>> {
    if let Some(found) = find() {
        return Ok(Some(found));
    }
    if !user::is_root()? || in_path("apt-get").is_none() {
        return Ok(None);
    }
    output::note("PostgreSQL is missing; installing it");
    apt_get(&["update"])?;
    apt_get(&["install", "-y", "--no-install-recommends", "postgresql"])?;
    Ok(find())
}

fn find() -> Option<Binaries> {
    newest(Path::new(DEBIAN_FOLDER)).or_else(|| in_path("pg_ctl").and_then(Binaries::in_folder))
}

fn newest(versions: &Path) -> Option<Binaries> {
    let mut found: Vec<(u32, Binaries)> = std::fs::read_dir(versions)
        .ok()?
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, Binaries::in_folder(entry.path().join("bin"))?))
        })
        .collect();
    found.sort_by_key(|(version, _)| *version);
    found.pop().map(|(_, binaries)| binaries)
}

/// The folder of the PATH that holds this command.
fn in_path(command: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|folder| folder.join(command).is_file())
}

fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("apt-get");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    if !workspace::status(&mut command)?.success() {
        output::warning("apt-get failed");
    }
    Ok(())
}
