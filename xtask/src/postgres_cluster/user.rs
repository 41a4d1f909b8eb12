//! Who the server runs as: ourselves, or the user `postgres`, since PostgreSQL refuses root.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;

const SERVER_USER: &str = "postgres";

/// The user and group of the server, and whether they must be taken on first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerUser {
    uid: u32,
    gid: u32,
    is_ourselves: bool,
}

impl ServerUser {
    /// # Errors
    /// When we are root and the machine has no user `postgres`.
    pub(crate) fn choose() -> anyhow::Result<Self> {
        let (uid, gid) = ourselves()?;
        if uid != 0 {
            return Ok(Self {
                uid,
                gid,
                is_ourselves: true,
            });
        }
        let users = std::fs::read_to_string("/etc/passwd").context("could not list the users")?;
        let (uid, gid) = find(&users, SERVER_USER).with_context(|| {
            format!("PostgreSQL refuses to run as root and there is no user `{SERVER_USER}`")
        })?;
        Ok(Self {
            uid,
            gid,
            is_ourselves: false,
        })
    }

    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    pub(crate) fn gid(&self) -> u32 {
        self.gid
    }

    /// Makes the command run as this user.
    pub(crate) fn run_as<'command>(&self, command: &'command mut Command) -> &'command mut Command {
        if self.is_ourselves {
            return command;
        }
        command.gid(self.gid).uid(self.uid)
    }
}

pub(crate) fn is_root() -> anyhow::Result<bool> {
    Ok(ourselves()?.0 == 0)
}

/// The owner of our own process folder is the user we run as; no unsafe call is needed.
fn ourselves() -> anyhow::Result<(u32, u32)> {
    let process = std::fs::metadata("/proc/self").context("could not read /proc/self")?;
    Ok((process.uid(), process.gid()))
}

fn find(users: &str, name: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut parts = line.split(':');
        if parts.next() != Some(name) {
            return None;
        }
        let uid = parts.nth(1)?.parse().ok()?;
        let gid = parts.next()?.parse().ok()?;
        Some((uid, gid))
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:\npostgres:x:101:103::/:\n";
        assert_eq!(find(users, "postgres"), Some((101, 103)));
        assert_eq!(find(users, "root"), Some((0, 0)));
        assert_eq!(find(users, "post"), None);
        assert_eq!(find("postgres:x:none:1::/:", "postgres"), None);
    }
}
