//! A configuration as text: with the source of each value, or as a file to start from.

use std::fmt::Write as _;

use crate::config::machine::Machine;
use crate::config::resolve::Resolved;
use crate::config::setting::{Kind, Setting};
use crate::config::storage;
use crate::config::table::SETTINGS;
use crate::config::value::Value;

/// The column at which sources start, where the value leaves room.
const SOURCE_COLUMN: usize = 44;

/// Writes every value with its source, as TOML. Secrets are masked.
pub(crate) fn with_sources(resolved: &[Resolved]) -> String {
    let mut out = String::new();
    let mut table = "";
    for Resolved {
        setting,
        value,
        source,
    } in resolved
    {
        let key = key_in_table(setting, &mut table, &mut out);
        let assignment = match value {
            Some(value) => format!("{key} = {}", shown(setting.kind, value)),
            None => format!("# {key} is not set"),
        };
        let width = SOURCE_COLUMN.saturating_sub(1);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{assignment:width$} # {source}");
    }
    out
}

/// Writes a file in which every setting stands as a comment with its default.
pub(crate) fn sample(machine: &Machine) -> String {
    let mut out = String::from(
        "# The settings of a Staffa server. Each may also be given as a flag or as an environment\n\
         # variable, which win over this file. What is commented out is the default.\n",
    );
    let mut table = "";
    for setting in SETTINGS {
        let key = key_in_table(setting, &mut table, &mut out);
        let value = setting
            .default_text(machine)
            .and_then(|text| setting.kind.read(&text));
        let value = value.map_or_else(
            || stand_in(setting.kind).to_owned(),
            |value| value.to_toml(),
        );
        let (flag, variable, since) = (setting.flag(), setting.variable(), setting.since);
        let _ = writeln!(out, "\n# {}", setting.about);
        let _ = writeln!(out, "# --{flag}, {variable}; since {since}");
        let _ = writeln!(out, "# {key} = {value}");
    }
    out
}

/// The key within its table, whose header is written when it begins.
fn key_in_table<'a>(setting: &'a Setting, table: &mut &'a str, out: &mut String) -> &'a str {
    let (parent, key) = setting.name.split_once('.').unwrap_or(("", setting.name));
    if parent != *table {
        *table = parent;
        let _ = writeln!(out, "\n[{parent}]");
    }
    key
}

/// What stands for a value where there is no default.
const fn stand_in(kind: Kind) -> &'static str {
    match kind {
        Kind::Bytes { .. } => "\"1GiB\"",
        Kind::Duration => "\"30s\"",
        Kind::Count { .. } => "1",
        _ => "\"…\"",
    }
}

fn shown(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (Kind::Secret, _) => "\"***\"".to_owned(),
        (Kind::Storage, Value::Text(url)) => Value::Text(storage::masked(url)).to_toml(),
        _ => value.to_toml(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::resolve::{Inputs, resolve};

    fn inputs(environment: &[(&str, &str)], file: Option<String>) -> Inputs {
        let environment = environment
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        Inputs {
            flags: BTreeMap::new(),
            environment: environment.collect(),
            file: file.map(|text| ("staffa.toml".to_owned(), text)),
            machine: Machine {
                cores: 2,
                memory_bytes: 4 << 30,
            },
        }
    }

    #[test]
    fn values_with_sources_are_a_file_again() {
        let resolved = resolve(&inputs(&[("STAFFA_LOG_LEVEL", "warn")], None)).unwrap();
        let text = with_sources(&resolved);
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            "listen = \"127.0.0.1:8080\"                   # default"
        );
        assert!(text.contains("level = \"warn\"  "), "{text}");
        assert!(text.contains("# environment STAFFA_LOG_LEVEL\n"), "{text}");
        let again = resolve(&inputs(&[], Some(text))).unwrap();
        for (one, other) in resolved.iter().zip(&again) {
            assert_eq!(one.value, other.value, "{}", one.setting.name);
        }
    }

    #[test]
    fn secrets_are_masked() {
        let secrets = [
            ("STAFFA_CURSOR_SECRET", "hush"),
            ("STAFFA_STORAGE", "postgres://u:hush@h/d"),
        ];
        let text = with_sources(&resolve(&inputs(&secrets, None)).unwrap());
        assert!(!text.contains("hush"), "{text}");
        assert!(text.contains("cursor_secret = \"***\""), "{text}");
        assert!(
            text.contains("storage = \"postgres://u:***@h/d\""),
            "{text}"
        );
    }

    #[test]
    fn the_sample_file_is_valid_with_and_without_its_comments() {
        let machine = Machine {
            cores: 2,
            memory_bytes: 4 << 30,
        };
        let text = sample(&machine);
        assert!(resolve(&inputs(&[], Some(text.clone()))).is_ok());
        let set: Vec<&str> = text
            .lines()
            .map(|l| if l.contains(" = ") { &l[2..] } else { l })
            .collect();
        let resolved = resolve(&inputs(&[], Some(set.join("\n")))).unwrap();
        assert!(
            resolved
                .iter()
                .all(|r| r.source.to_string().starts_with("staffa.toml:"))
        );
    }
}
