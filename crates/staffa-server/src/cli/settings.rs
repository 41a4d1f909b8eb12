//! The flags that come from the table of settings, and reading a configuration with them.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use clap::{Arg, ArgMatches, Command};

use crate::cli::{Invocation, UsageError};
use crate::config::{Config, FILE_VARIABLE, Inputs, Kind, Machine, Resolved, SETTINGS, Setting};

/// The file that is read where none is named and this one is there.
pub(super) const FILE_NAME: &str = "staffa.toml";

/// Adds a flag for every setting, and `--config`.
pub(super) fn with_settings(command: Command) -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help(format!(
            "The file of settings [default: {FILE_NAME} where it exists]"
        ))
        .help_heading("Settings");
    let machine = Machine::detect();
    command
        .arg(file)
        .args(SETTINGS.iter().map(|setting| flag(setting, &machine)))
}

fn flag(setting: &'static Setting, machine: &Machine) -> Arg {
    let help = match setting.default_text(machine) {
        Some(default) => format!("{} [default: {default}]", setting.about),
        None => setting.about.to_owned(),
    };
    let heading = match setting.name.split_once('.') {
        Some((table, _)) => format!("Settings of {table}"),
        None => "Settings".to_owned(),
    };
    let arg = Arg::new(setting.name)
        .long(setting.flag())
        .value_name(setting.placeholder())
        .help(help)
        .help_heading(heading);
    if setting.kind == Kind::Flag {
        arg.num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
    } else {
        arg
    }
}

/// Reads and checks the configuration.
pub(super) fn load(
    matches: &ArgMatches,
    invocation: &Invocation,
) -> anyhow::Result<(Vec<Resolved>, Config)> {
    load_with(matches, invocation, &[])
}

/// Reads and checks the configuration with settings that the command itself makes.
pub(super) fn load_with(
    matches: &ArgMatches,
    invocation: &Invocation,
    made: &[(&'static str, String)],
) -> anyhow::Result<(Vec<Resolved>, Config)> {
    let mut flags = BTreeMap::new();
    for setting in SETTINGS {
        if let Some(text) = matches.get_one::<String>(setting.name) {
            flags.insert(setting.name, text.clone());
        }
    }
    flags.extend(made.iter().cloned());
    let inputs = Inputs {
        flags,
        environment: invocation.environment.clone(),
        file: read_file(matches, invocation)?,
        machine: Machine::detect(),
    };
    let resolved = crate::config::resolve(&inputs)?;
    let config = Config::new(&resolved);
    Ok((resolved, config))
}

fn read_file(
    matches: &ArgMatches,
    invocation: &Invocation,
) -> anyhow::Result<Option<(String, String)>> {
    let flag = matches.get_one::<String>("config").cloned();
    let variable = || {
        let found = invocation
            .environment
            .iter()
            .find(|(name, _)| name == FILE_VARIABLE);
        found.map(|(_, path)| path.clone())
    };
    let named = flag.or_else(variable);
    let path = named.clone().unwrap_or_else(|| FILE_NAME.to_owned());
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(error) => Err(UsageError(format!("the configuration file {path}: {error}")).into()),
    }
}
