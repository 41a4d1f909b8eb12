//! A document to a schema, with everything that is wrong with it found at once.

use staffa_domain::schema::{
    PropertyName, Schema, SchemaName, SchemaProblem, UnknownProperties, check,
};

use super::node::{Entry, Kind, Mark, Node, item, step};
use super::{json, nearest::suggestion, read_property, yaml};

/// The largest document, in bytes.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;

pub(super) const KEYS: [&str; 7] = [
    "name",
    "description",
    "primary_key",
    "append_only",
    "unknown_properties",
    "distributed_by",
    "properties",
];

/// The form of a schema document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentForm {
    /// YAML 1.2 without anchors, aliases, tags and merge keys.
    Yaml,
    /// JSON without duplicate names.
    Json,
}

/// Why a text is no schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentError {
    /// It is longer than documents may be.
    TooLong(SchemaProblem),
    /// It breaks the grammar of JSON or YAML.
    Malformed(SchemaProblem),
    /// What it says is not right; never empty.
    Invalid(Vec<SchemaProblem>),
}

impl DocumentError {
    /// What is wrong, whatever kind of thing that is.
    pub fn into_problems(self) -> Vec<SchemaProblem> {
        match self {
            Self::TooLong(problem) | Self::Malformed(problem) => vec![problem],
            Self::Invalid(problems) => problems,
        }
    }
}

impl From<Vec<SchemaProblem>> for DocumentError {
    fn from(problems: Vec<SchemaProblem>) -> Self {
        Self::Invalid(problems)
    }
}

/// Reads a schema document of at most 1 MiB and checks the schema.
///
/// # Errors
/// Everything that is wrong: unknown keys with the nearest valid one, values of a wrong kind,
/// and what [`check`] finds. Problems of a YAML document end with their line and column.
pub fn read_schema(text: &str, form: DocumentForm) -> Result<Schema, DocumentError> {
    let root = read_tree(text, form)?;
    let mut problems = Problems::default();
    let schema = read_node(&root, &KEYS, &mut problems);
    Ok(finish(schema, problems)?)
}

/// Ends a reading: the schema, where neither reading nor [`check`] found anything.
pub(super) fn finish(
    schema: Option<Schema>,
    problems: Problems,
) -> Result<Schema, Vec<SchemaProblem>> {
    match schema {
        Some(schema) if problems.0.is_empty() => {
            let found = check(&schema);
            if found.is_empty() {
                Ok(schema)
            } else {
                Err(found)
            }
        }
        _ => Err(problems.0),
    }
}

/// Reads a document's text as a tree.
pub(super) fn read_tree(text: &str, form: DocumentForm) -> Result<Node, DocumentError> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!("a schema document has at most {DOCUMENT_BYTES_MAX} bytes");
        return Err(DocumentError::TooLong(SchemaProblem::new("", message)));
    }
    match form {
        DocumentForm::Yaml => yaml::read_yaml(text),
        DocumentForm::Json => json::read_json(text).map_err(|problem| {
            let message = format!("{} (at {})", problem.message, problem.mark);
            let told = SchemaProblem::new("", message);
            match problem.is_name_twice {
                // The grammar has nothing against it.
                true => DocumentError::Invalid(vec![told]),
                false => DocumentError::Malformed(told),
            }
        }),
    }
}

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<SchemaProblem>);

impl Problems {
    pub(super) fn push(&mut self, pointer: &str, mark: Option<Mark>, message: &str) {
        let message = match mark {
            Some(mark) => format!("{message} (at {mark})"),
            None => message.to_owned(),
        };
        self.0.push(SchemaProblem::new(pointer, message));
    }

    /// The members of an object, after noting every key that is not valid.
    pub(super) fn entries<'a>(
        &mut self,
        node: &'a Node,
        pointer: &str,
        valid: &[&str],
    ) -> Option<&'a [Entry]> {
        let Some(entries) = node.as_map() else {
            let message = format!("expected an object, found {}", node.word());
            self.push(pointer, node.mark, &message);
            return None;
        };
        for entry in entries {
            let key = entry.key.as_str();
            if !valid.contains(&key) {
                let near = suggestion(key, valid.iter().copied());
                let near = if near.is_empty() {
                    format!("; the keys are {}", valid.join(", "))
                } else {
                    near
                };
                let message = format!("unknown key {key}{near}");
                self.push(&step(pointer, key), entry.mark, &message);
            }
        }
        Some(entries)
    }

    pub(super) fn text(&mut self, node: &Node, pointer: &str) -> Option<String> {
        let text = node.as_text();
        if text.is_none() {
            let message = format!("expected a text, found {}", node.word());
            self.push(pointer, node.mark, &message);
        }
        text.map(str::to_owned)
    }

    pub(super) fn boolean(&mut self, node: &Node, pointer: &str) -> Option<bool> {
        if let Kind::Boolean(value) = node.kind {
            return Some(value);
        }
        let message = format!("expected true or false, found {}", node.word());
        self.push(pointer, node.mark, &message);
        None
    }

    pub(super) fn list<'a>(&mut self, node: &'a Node, pointer: &str) -> Option<&'a [Node]> {
        let list = node.as_list();
        if list.is_none() {
            let message = format!("expected a list, found {}", node.word());
            self.push(pointer, node.mark, &message);
        }
        list
    }

    pub(super) fn property_name(&mut self, node: &Node, pointer: &str) -> Option<PropertyName> {
        let text = self.text(node, pointer)?;
        let name = PropertyName::new(&text);
        name.map_err(|error| self.push(pointer, node.mark, &error.to_string()))
            .ok()
    }
}

/// Reads a schema whose document may have the `valid` keys. `None` where a part without
/// which there is no schema is missing; that is noted.
pub(super) fn read_node(root: &Node, valid: &[&str], problems: &mut Problems) -> Option<Schema> {
    let entries = problems.entries(root, "", valid)?;
    let mut draft = Draft::default();
    for Entry { key, value, .. } in entries {
        draft.read(key, value, problems);
    }
    for (there, key) in [
        (root.get("name").is_some(), "name"),
        (root.get("properties").is_some(), "properties"),
    ] {
        if !there {
            problems.push("", root.mark, &format!("the key {key} is missing"));
        }
    }
    let properties = match root.get("properties") {
        Some(node) => read_property::read_all(node, problems),
        None => Vec::new(),
    };
    Some(Schema {
        name: draft.name?,
        description: draft.description,
        primary_key: draft.primary_key,
        append_only: draft.append_only,
        unknown_properties: draft.unknown_properties,
        distributed_by: draft.distributed_by,
        properties,
    })
}

#[derive(Default)]
struct Draft {
    name: Option<SchemaName>,
    description: Option<String>,
    primary_key: Vec<PropertyName>,
    append_only: bool,
    unknown_properties: UnknownProperties,
    distributed_by: Option<PropertyName>,
}

impl Draft {
    fn read(&mut self, key: &str, value: &Node, problems: &mut Problems) {
        let pointer = step("", key);
        match key {
            "name" => self.name = read_name(value, problems),
            "description" if value.kind != Kind::Null => {
                self.description = problems.text(value, &pointer);
            }
            "primary_key" => {
                let list = problems.list(value, &pointer).unwrap_or_default();
                let names = list.iter().enumerate();
                self.primary_key = names
                    .filter_map(|(at, node)| problems.property_name(node, &item(&pointer, at)))
                    .collect();
            }
            "append_only" => {
                self.append_only = problems.boolean(value, &pointer).unwrap_or_default();
            }
            "unknown_properties" => self.unknown_properties = read_unknown(value, problems),
            "distributed_by" if value.kind != Kind::Null => {
                self.distributed_by = problems.property_name(value, &pointer);
            }
            _ => {}
        }
    }
}

fn read_name(node: &Node, problems: &mut Problems) -> Option<SchemaName> {
    let text = problems.text(node, "/name")?;
    let name = SchemaName::new(&text);
    name.map_err(|error| problems.push("/name", node.mark, &error.to_string()))
        .ok()
}

fn read_unknown(node: &Node, problems: &mut Problems) -> UnknownProperties {
    match node.as_text() {
        Some("reject") => UnknownProperties::Reject,
        Some("ignore") => UnknownProperties::Ignore,
        _ => {
            problems.push(
                "/unknown_properties",
                node.mark,
                "expected reject or ignore",
            );
            UnknownProperties::default()
        }
    }
}
