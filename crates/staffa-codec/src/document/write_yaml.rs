//! A schema to a YAML document for people: one property a line.

use serde_json::Value as Json;

use staffa_domain::schema::Schema;

use super::write::write_schema;

/// The canonical document as YAML: reading it gives the same schema back.
pub fn write_yaml(schema: &Schema) -> String {
    write_commented(schema, |_| String::new())
}

/// The same with a comment beside each property for which there is one, given its position.
pub(super) fn write_commented(schema: &Schema, beside: impl Fn(usize) -> String) -> String {
    let mut out = String::new();
    let document = write_schema(schema);
    let entries = document.as_object().into_iter().flatten();
    for (key, value) in entries {
        out.push_str(key);
        out.push(':');
        match value {
            Json::Array(items) if key == "properties" => {
                for (position, property) in items.iter().enumerate() {
                    out.push_str("\n  - ");
                    push_flow(&mut out, property);
                    let comment = beside(position);
                    if !comment.is_empty() {
                        out.push_str("  # ");
                        out.push_str(&comment);
                    }
                }
            }
            value => {
                out.push(' ');
                push_flow(&mut out, value);
            }
        }
        out.push('\n');
    }
    out
}

fn push_flow(out: &mut String, value: &Json) {
    match value {
        Json::String(text) if is_plain(text) => out.push_str(text),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                push_flow(out, item);
            }
            out.push(']');
        }
        Json::Object(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                push_flow(out, &Json::String(key.clone()));
                out.push_str(": ");
                push_flow(out, value);
            }
            out.push('}');
        }
        Json::String(text) => push_quoted(out, text),
        // Numbers, booleans and null are spelt alike in JSON and YAML.
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// A double-quoted scalar. YAML reads JSON's escapes, but not every character bare.
fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                use std::fmt::Write as _;
                write!(out, "\\u{:04x}", u32::from(c)).expect("a string takes all");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Whether a text may stand without quotes in a flow collection and still be read as text.
fn is_plain(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = text
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' '));
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    starts && rest && !word && !text.ends_with(' ')
}
