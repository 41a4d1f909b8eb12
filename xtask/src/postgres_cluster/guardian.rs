//! A small process that outlives us just long enough to stop the server and remove its folder.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

use super::binaries::Binaries;
use super::user::ServerUser;

/// `read` returns when our end of the pipe closes: on drop, and also when we were killed.
const SCRIPT: &str = r#"
read -r _
"$1" stop --mode=immediate --silent --pgdata "$2/data"
rm -rf "$2"
"#;

/// Dropping it triggers the clean-up and waits for its end.
#[derive(Debug)]
pub(crate) struct Guardian {
    process: Child,
}

impl Guardian {
    pub(crate) fn watch(
        folder: &Path,
        binaries: &Binaries,
        user: &ServerUser,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "guardian"])
            .arg(binaries.pg_ctl())
            .arg(folder);
        command
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Its own process group, so that Ctrl-C ends us and not the one who cleans up after us.
        command.process_group(0);
        let process = user
            .run_as(&mut command)
            .spawn()
            .context("could not start the clean-up process")?;
        Ok(Self { process })
    }

    fn finish(&mut self) -> io::Result<()> {
        drop(self.process.stdin.take());
        self.process.wait().map(drop)
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            crate::output::warning(&format!("the clean-up process was lost: {error}"));
        }
    }
}
