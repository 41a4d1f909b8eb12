//! The value of every setting and where it came from: flag before environment before file
//! before default. Everything that is wrong is found at once.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::file;
use crate::config::machine::Machine;
use crate::config::setting::{Kind, Setting};
use crate::config::storage;
use crate::config::table::SETTINGS;
use crate::config::value::Value;

/// Variables of Staffa's own tests, which are no settings.
const FOREIGN_PREFIXES: [&str; 2] = ["STAFFA_TEST_", "STAFFA_CI_"];
/// The variable that names the file; it can't stand in the file itself.
pub(crate) const FILE_VARIABLE: &str = "STAFFA_CONFIG";

/// All that a configuration is read from.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// The flags given, by name of the setting.
    pub(crate) flags: BTreeMap<&'static str, String>,
    /// The environment; variables of others are left alone.
    pub(crate) environment: Vec<(String, String)>,
    /// The file's path and text, where there is a file.
    pub(crate) file: Option<(String, String)>,
    /// What defaults depend on.
    pub(crate) machine: Machine,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nobody set it.
    Default,
    /// A file, with the line.
    File(String, usize),
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{path}:{line}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => write!(f, "flag --{flag}"),
        }
    }
}

/// One setting with its value.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The setting.
    pub(crate) setting: &'static Setting,
    /// Its value; `None` where it is unset by default.
    pub(crate) value: Option<Value>,
    /// Where the value came from.
    pub(crate) source: Source,
}

/// Everything that is wrong with a configuration, a line each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConfigProblems(pub(crate) Vec<String>);

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigProblems {}

/// Settles every setting.
pub(crate) fn resolve(inputs: &Inputs) -> Result<Vec<Resolved>, ConfigProblems> {
    let mut given: BTreeMap<&'static str, (String, Source)> = BTreeMap::new();
    let mut problems = Vec::new();
    if let Some((path, text)) = &inputs.file {
        take_file(path, text, &mut given, &mut problems);
    }
    take_environment(&inputs.environment, &mut given, &mut problems);
    for setting in SETTINGS {
        if let Some(text) = inputs.flags.get(setting.name) {
            given.insert(setting.name, (text.clone(), Source::Flag(setting.flag())));
        }
    }
    let mut resolved = Vec::new();
    for setting in SETTINGS {
        let found = given.remove(setting.name);
        let default = || {
            setting
                .default_text(&inputs.machine)
                .map(|text| (text, Source::Default))
        };
        let Some((text, source)) = found.or_else(default) else {
            resolved.push(Resolved {
                setting,
                value: None,
                source: Source::Default,
            });
            continue;
        };
        match setting.kind.read(&text) {
            Some(value) => resolved.push(Resolved {
                setting,
                value: Some(value),
                source,
            }),
            None => problems.push(bad_value(setting, &text, &source)),
        }
    }
    if problems.is_empty() {
        Ok(resolved)
    } else {
        Err(ConfigProblems(problems))
    }
}

fn take_file(
    path: &str,
    text: &str,
    given: &mut BTreeMap<&'static str, (String, Source)>,
    problems: &mut Vec<String>,
) {
    let entries = match file::read(text) {
        Ok(entries) => entries,
        Err((line, message)) => {
            let message = message.replace('\n', " ");
            problems.push(format!("{path}:{line}: this is no TOML: {message}"));
            return;
        }
    };
    for entry in entries {
        let place = Source::File(path.to_owned(), entry.line);
        let Some(setting) = SETTINGS.iter().find(|setting| setting.name == entry.name) else {
            let near = suggestion(&entry.name, SETTINGS.iter().map(|s| s.name.to_owned()));
            let name = on_a_line(&entry.name);
            problems.push(format!("{place}: unknown key {name}{near}"));
            continue;
        };
        match entry.text {
            Some(text) => {
                if let Some((_, first)) = given.insert(setting.name, (text, place.clone())) {
                    problems.push(format!("{place}: {} is set already at {first}", entry.name));
                }
            }
            None => problems.push(bad_value(setting, "a list or a date", &place)),
        }
    }
}

fn take_environment(
    environment: &[(String, String)],
    given: &mut BTreeMap<&'static str, (String, Source)>,
    problems: &mut Vec<String>,
) {
    for (variable, text) in environment {
        let foreign = !variable.starts_with("STAFFA_")
            || variable == FILE_VARIABLE
            || FOREIGN_PREFIXES
                .iter()
                .any(|prefix| variable.starts_with(prefix));
        if foreign {
            continue;
        }
        let found = SETTINGS
            .iter()
            .find(|setting| setting.variable() == *variable);
        if let Some(setting) = found {
            let source = Source::Environment(variable.clone());
            given.insert(setting.name, (text.clone(), source));
        } else {
            let near = suggestion(variable, SETTINGS.iter().map(Setting::variable));
            let name = on_a_line(variable);
            problems.push(format!("environment: unknown variable {name}{near}"));
        }
    }
}

fn bad_value(setting: &Setting, text: &str, source: &Source) -> String {
    let expected = setting.kind.expected();
    let shown = match setting.kind {
        Kind::Secret => "the value".to_owned(),
        Kind::Storage => format!("{:?}", storage::masked(text)),
        _ => format!("{text:?}"),
    };
    format!(
        "{}: {shown} ({source}) is not valid; expected {expected}",
        setting.name
    )
}

/// A name from outside, which may hold what would break a line or command a terminal.
fn on_a_line(name: &str) -> String {
    name.escape_debug().to_string()
}

/// `; did you mean x?` where some word is near. A word that lacks only its table is near.
pub(crate) fn suggestion(word: &str, valid: impl Iterator<Item = String>) -> String {
    let most = (word.chars().count() / 3).clamp(1, 5);
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let nearest = valid
        .map(|name| {
            let whole = strsim::damerau_levenshtein(word, &name);
            let leaf = strsim::damerau_levenshtein(&last(word), &last(&name)) + 1;
            (whole.min(leaf), name)
        })
        .filter(|(edits, _)| *edits <= most)
        .min();
    nearest.map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"))
}

#[cfg(test)]
mod tests;
