//! `cargo xtask ci`: the gate, the same on a developer's machine and on the build machine.

use std::process::{Command, ExitCode};

use anyhow::ensure;

use crate::{output, test, tidy, workspace};

/// Runs every step, cheapest first, and stops at the first that fails.
///
/// Each step that compiles uses the release profile: the embedded engine is then compiled once.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    must_pass(workspace::cargo().args(["fmt", "--all", "--check"]))?;
    ensure!(tidy::run()? == ExitCode::SUCCESS, "tidy found something");
    must_pass(&mut clippy())?;
    must_pass(&mut doc())?;
    ensure!(test::run(&[])? == ExitCode::SUCCESS, "a test failed");
    output::note("all checks passed");
    Ok(ExitCode::SUCCESS)
}

fn clippy() -> Command {
    let mut command = workspace::cargo();
    command
        .args(["clippy", "--release", "--workspace", "--all-targets"])
        .args(["--", "-D", "warnings"]);
    command
}

fn doc() -> Command {
    let mut command = workspace::cargo();
    command
        .args([
            "doc",
            "--release",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ])
        .env("RUSTDOCFLAGS", "-D warnings");
    command
}

fn must_pass(command: &mut Command) -> anyhow::Result<()> {
    let status = workspace::status(command)?;
    ensure!(status.success(), "the step above failed");
    Ok(())
}
