//! A tree of JSON's six kinds that keeps numbers as they were written and knows its places.

use std::fmt::{self, Write as _};

use staffa_domain::schema::PropertyType;
use staffa_domain::value::Value;

use crate::text::format::push_json_string;
use crate::text::parse::parse_scalar;

/// The deepest nesting that is read.
pub(super) const DEPTH_MAX: usize = 128;

/// A line and a column, both from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One node and where it stood, for the forms that people write by hand.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) mark: Option<Mark>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Boolean(bool),
    /// The text of a JSON number, exactly as written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One member of a map; keys are unique.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) mark: Option<Mark>,
    pub(crate) value: Node,
}

/// Whether a text may stand for a value that is not a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Texts {
    /// As in a query, where everything may come as text: `"22"` for an integer.
    ForAnyType,
    /// As in a record: only where JSON has no better form.
    WhereNeeded,
}

impl Node {
    pub(crate) const fn new(kind: Kind, mark: Option<Mark>) -> Self {
        Self { kind, mark }
    }

    /// The article and word for what it is.
    pub(crate) const fn word(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Boolean(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "an object",
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_map(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let entries = self.as_map()?;
        entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    /// Reads it as a value of a type; the error says what was expected.
    pub(crate) fn typed(&self, kind: &PropertyType, texts: Texts) -> Result<Value, String> {
        let parse = |text: &str| parse_scalar(kind, text).map_err(|problem| problem.to_string());
        let numeric = matches!(
            kind,
            PropertyType::Integer | PropertyType::Number | PropertyType::Decimal(_)
        );
        match (&self.kind, kind) {
            (Kind::Null, _) => Ok(Value::Null),
            (Kind::Boolean(value), PropertyType::Boolean) => Ok(Value::Boolean(*value)),
            (Kind::List(items), PropertyType::Array(item)) => items
                .iter()
                .map(|node| node.typed(item, texts))
                .collect::<Result<_, _>>()
                .map(Value::Array),
            (Kind::Map(_), PropertyType::Object) => Ok(Value::Object(self.to_json())),
            (Kind::Number(text), _) if numeric => parse(text),
            (_, PropertyType::Array(_) | PropertyType::Object) => Err(self.mismatch(kind)),
            (Kind::Text(text), _) => {
                let strict = matches!(
                    kind,
                    PropertyType::Integer | PropertyType::Number | PropertyType::Boolean
                );
                if strict && texts == Texts::WhereNeeded {
                    return Err(self.mismatch(kind));
                }
                parse(text)
            }
            _ => Err(self.mismatch(kind)),
        }
    }

    fn mismatch(&self, kind: &PropertyType) -> String {
        let hint = match (&self.kind, kind) {
            (Kind::Number(_) | Kind::Boolean(_), PropertyType::String) => "; put it in quotes",
            (Kind::Text(_), PropertyType::Integer | PropertyType::Number) => {
                "; leave the quotes out"
            }
            _ => "",
        };
        format!(
            "expected a value of type {kind}, found {}{hint}",
            self.word()
        )
    }

    /// The compact JSON text of the tree.
    pub(crate) fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.push_json(&mut out);
        String::from_utf8(out).expect("made of whole texts")
    }

    fn push_json(&self, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Null => out.extend_from_slice(b"null"),
            Kind::Boolean(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Kind::Number(text) => out.extend_from_slice(text.as_bytes()),
            Kind::Text(text) => push_json_string(out, text),
            Kind::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.push_json(out);
                }
                out.push(b']');
            }
            Kind::Map(entries) => {
                out.push(b'{');
                for (index, entry) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    push_json_string(out, &entry.key);
                    out.push(b':');
                    entry.value.push_json(out);
                }
                out.push(b'}');
            }
        }
    }
}

impl From<&serde_json::Value> for Node {
    fn from(value: &serde_json::Value) -> Self {
        let kind = match value {
            serde_json::Value::Null => Kind::Null,
            serde_json::Value::Bool(value) => Kind::Boolean(*value),
            serde_json::Value::Number(number) => Kind::Number(number.to_string()),
            serde_json::Value::String(text) => Kind::Text(text.clone()),
            serde_json::Value::Array(items) => Kind::List(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(map) => {
                let entry = |(key, value): (&String, &serde_json::Value)| Entry {
                    key: key.clone(),
                    mark: None,
                    value: Self::from(value),
                };
                Kind::Map(map.iter().map(entry).collect())
            }
        };
        Self::new(kind, None)
    }
}

/// Appends one step to a JSON pointer.
pub(crate) fn step(pointer: &str, key: &str) -> String {
    let mut out = String::with_capacity(pointer.len() + key.len() + 1);
    out.push_str(pointer);
    out.push('/');
    for c in key.chars() {
        match c {
            '~' => out.push_str("~0"),
            '/' => out.push_str("~1"),
            c => out.push(c),
        }
    }
    out
}

/// Appends the position in a list to a JSON pointer.
pub(crate) fn item(pointer: &str, index: usize) -> String {
    let mut out = pointer.to_owned();
    write!(out, "/{index}").expect("a string takes all");
    out
}
