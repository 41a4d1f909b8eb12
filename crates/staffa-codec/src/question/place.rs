//! Reading a question's tree: members, names and fields, each problem with its pointer.

use staffa_domain::query::Field;
use staffa_domain::record::system;
use staffa_domain::schema::SchemaSnapshot;

use super::{QuestionCode, QuestionProblem};
use crate::document::{Node, item, read_json, step, suggestion};

/// A node of a question and the pointer to it.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) node: &'a Node,
    pub(super) pointer: String,
}

impl<'a> Place<'a> {
    pub(super) fn new(node: &'a Node, pointer: &str) -> Self {
        Self {
            node,
            pointer: pointer.to_owned(),
        }
    }

    pub(super) fn invalid(&self, message: impl Into<String>) -> QuestionProblem {
        QuestionProblem::invalid(&self.pointer, message)
    }

    fn expected(&self, what: &str) -> QuestionProblem {
        self.invalid(format!("expected {what}, found {}", self.node.word()))
    }

    /// Makes sure that it is an object with no other keys than these.
    pub(super) fn object(&self, valid: &[&str]) -> Result<(), QuestionProblem> {
        let entries = self
            .node
            .as_map()
            .ok_or_else(|| self.expected("an object"))?;
        for entry in entries {
            let key = entry.key.as_str();
            if !valid.contains(&key) {
                let near = suggestion(key, valid.iter().copied());
                let near = if near.is_empty() {
                    format!("; the keys are {}", valid.join(", "))
                } else {
                    near
                };
                let pointer = step(&self.pointer, key);
                return Err(QuestionProblem::invalid(
                    pointer,
                    format!("unknown key {key}{near}"),
                ));
            }
        }
        Ok(())
    }

    /// The value at a key; null counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let node = self.node.get(key)?;
        let present = !matches!(node.kind, crate::document::Kind::Null);
        present.then(|| Self {
            node,
            pointer: step(&self.pointer, key),
        })
    }

    pub(super) fn need(&self, key: &str) -> Result<Self, QuestionProblem> {
        self.get(key)
            .ok_or_else(|| self.invalid(format!("the key {key} is missing")))
    }

    pub(super) fn text(&self) -> Result<&'a str, QuestionProblem> {
        self.node.as_text().ok_or_else(|| self.expected("a text"))
    }

    pub(super) fn list(&self) -> Result<Vec<Self>, QuestionProblem> {
        let items = self.node.as_list().ok_or_else(|| self.expected("a list"))?;
        let each = items.iter().enumerate().map(|(index, node)| Self {
            node,
            pointer: item(&self.pointer, index),
        });
        Ok(each.collect())
    }

    /// Reads it as the name of a field.
    pub(super) fn field(&self, schema: &SchemaSnapshot) -> Result<Field, QuestionProblem> {
        find_field(schema, self.text()?, &self.pointer)
    }
}

/// Finds a field by name, or says which one may be meant.
pub(super) fn find_field(
    schema: &SchemaSnapshot,
    name: &str,
    pointer: &str,
) -> Result<Field, QuestionProblem> {
    Field::find(schema, name).ok_or_else(|| {
        let properties = schema.schema().properties.iter();
        let names = properties
            .map(|property| property.name.as_str())
            .chain(system::NAMES);
        let shown = shorten(name);
        let near = suggestion(name, names);
        QuestionProblem {
            code: QuestionCode::UnknownField,
            pointer: pointer.to_owned(),
            message: format!("the schema {} has no property {shown}{near}", schema.name()),
        }
    })
}

/// A text that someone sent, cut to what a message should repeat.
pub(super) fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    let cut: String = text.chars().take(CHARS_MAX).collect();
    format!("{cut}…")
}

/// Reads a parameter's JSON text.
pub(super) fn read_text(text: &str, pointer: &str) -> Result<Node, QuestionProblem> {
    read_json(text).map_err(|problem| {
        let message = format!("not valid JSON: {} (at {})", problem.message, problem.mark);
        QuestionProblem::invalid(pointer, message)
    })
}
