//! Where the workspace is, and how xtask starts cargo in it.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::Context as _;

use crate::output;

/// What `cargo run` tells xtask about xtask. A build script that watches one of these would run
/// again if it leaked into a nested cargo, and the embedded engine takes very long to compile.
const OWN_PACKAGE_VARIABLES: &[&str] = &[
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_PRIMARY_",
];

/// The folder of the root manifest.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in a folder of the workspace")
}

/// A cargo command in the root of the workspace, free of xtask's own package variables.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    free_of_own(Command::new(program))
}

/// The same of another toolchain than the one that the workspace pins.
pub(crate) fn cargo_of(toolchain: &str) -> Command {
    let mut command = free_of_own(Command::new("cargo"));
    command.env("RUSTUP_TOOLCHAIN", toolchain);
    // What rustup said for the pinned one would lead back to it.
    command.env_remove("CARGO").env_remove("RUSTC");
    command
}

fn free_of_own(mut command: Command) -> Command {
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let is_own = name.to_str().is_some_and(|name| {
            OWN_PACKAGE_VARIABLES
                .iter()
                .any(|own| name.starts_with(own))
        });
        if is_own {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end and answers how it ended.
///
/// # Errors
/// When the command could not be started.
pub(crate) fn status(command: &mut Command) -> anyhow::Result<ExitStatus> {
    output::note(&describe(command));
    command
        .status()
        .with_context(|| format!("could not start {}", describe(command)))
}

/// The exit code to leave with after a child ended; a child killed by a signal counts as failed.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}

fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let mut text = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
