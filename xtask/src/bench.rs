//! `cargo xtask bench`: the benchmark command of the server, always in the release profile.

use std::process::ExitCode;

use crate::workspace;

/// Passes every argument on to `staffa bench`.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let mut command = workspace::cargo();
    command
        .args([
            "run",
            "--release",
            "-p",
            "staffa-server",
            "--bin",
            "staffa",
            "--",
            "bench",
        ])
        .args(arguments);
    Ok(workspace::exit_code(workspace::status(&mut command)?))
}
