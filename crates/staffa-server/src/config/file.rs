//! A configuration file flattened to its leaves: dotted key, text, line.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One key of a file and what it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The name of the setting.
    pub(crate) name: String,
    /// Where it stands, from one.
    pub(crate) line: usize,
    /// The value as text; `None` for a list or another thing that no setting takes.
    pub(crate) text: Option<String>,
}

/// Reads a file's text, or says on which line it is no TOML.
pub(crate) fn read(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, &span));
        (line, error.message().to_owned())
    })?;
    let mut entries = Vec::new();
    flatten(text, "", table.get_ref(), &mut entries);
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn flatten(text: &str, prefix: &str, table: &DeTable<'_>, entries: &mut Vec<Entry>) {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{prefix}.{}", key.get_ref())
        };
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(text, &name, inner, entries);
        } else {
            let line = line_of(text, &key.span());
            entries.push(Entry {
                name: setting_name(name),
                line,
                text: leaf(value),
            });
        }
    }
}

/// Engines' tables may stand below `[storage]`, where the engine itself is then called `url`:
/// TOML has no way to give `storage` both a text and tables.
fn setting_name(key: String) -> String {
    match key.strip_prefix("storage.") {
        Some("url") => "storage".to_owned(),
        Some(rest) if rest.contains('.') => rest.to_owned(),
        _ => key,
    }
}

fn leaf(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|n| n.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.get(..span.start).unwrap_or(text);
    before.bytes().filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::read;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, usize, Option<&str>)]) {
        let entries = read(text).unwrap();
        let found: Vec<_> = entries
            .iter()
            .map(|e| (e.name.as_str(), e.line, e.text.as_deref()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn leaves_with_lines() {
        check(
            "listen = \"a\"\n\n[log]\nlevel = 'b'\nx = [1]\n",
            &[
                ("listen", 1, Some("a")),
                ("log.level", 4, Some("b")),
                ("log.x", 5, None),
            ],
        );
        check(
            "a.b = 0x1_0\nc = true",
            &[("a.b", 1, Some("16")), ("c", 2, Some("true"))],
        );
    }

    #[test]
    fn engines_below_storage() {
        check(
            "[storage]\nurl = \"x\"\n[storage.engine]\nsize = 1\n",
            &[("storage", 2, Some("x")), ("engine.size", 4, Some("1"))],
        );
        check("storage = 'x'", &[("storage", 1, Some("x"))]);
        check("[storage]\nuri = 'x'", &[("storage.uri", 2, Some("x"))]);
    }

    #[test]
    fn broken_files_name_the_line() {
        let (line, message) = read("a = 1\nb = \n").unwrap_err();
        assert_eq!(line, 2);
        assert!(!message.is_empty());
    }
}
