//! `staffa init`: a commented file of settings and an example of a schema document.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command};

use crate::cli::{Invocation, settings};
use crate::config::{Machine, sample};

const EXAMPLE: &str = include_str!("init/example.yaml");

pub(super) fn command() -> Command {
    let folder = Arg::new("folder")
        .value_name("FOLDER")
        .default_value(".")
        .help("Where to write");
    Command::new("init")
        .about("Write a commented staffa.toml and an example of a schema")
        .arg(folder)
}

pub(super) fn run(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    let folder = matches
        .get_one::<String>("folder")
        .map_or(".", String::as_str);
    let files = [
        (
            PathBuf::from(settings::FILE_NAME),
            sample(&Machine::detect()),
        ),
        (PathBuf::from("schemas/example.yaml"), EXAMPLE.to_owned()),
    ];
    for (name, text) in files {
        let path = Path::new(folder).join(name);
        write_new(&path, &text).with_context(|| format!("can't write {}", path.display()))?;
        invocation.output.note(&format!("wrote {}", path.display()));
    }
    invocation.output.note("now run: staffa serve");
    Ok(())
}

/// Writes a file that is not there yet: what a user has changed is never overwritten.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}
