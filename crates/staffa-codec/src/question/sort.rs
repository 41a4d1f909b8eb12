//! Sort keys and selected fields.

use serde_json::{Value as Json, json};

use staffa_domain::query::{Field, Sort};
use staffa_domain::schema::SchemaSnapshot;

use super::place::{Place, find_field, read_text};
use super::{QuestionProblem, SORT_KEYS_MAX};
use crate::document::{Kind, Node, item};

/// Reads `-time_hour,carrier`, or the JSON list of [`parse_sort_json`] as text. Empty: no
/// order. Nulls come last.
pub fn parse_sort_text(
    schema: &SchemaSnapshot,
    text: &str,
    pointer_base: &str,
) -> Result<Vec<Sort>, QuestionProblem> {
    let text = text.trim();
    if text.starts_with('[') {
        let node = read_text(text, pointer_base)?;
        return parse_node(schema, &Place::new(&node, pointer_base));
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut keys = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (name, descending) = direction(part);
        let field = find_field(schema, name, pointer_base)?;
        let key = Sort {
            field,
            descending,
            nulls_first: false,
        };
        push_key(schema, &mut keys, key, pointer_base)?;
    }
    Ok(keys)
}

/// Splits the sign of a sort key's text off.
pub(super) fn direction(part: &str) -> (&str, bool) {
    match part.strip_prefix('-') {
        Some(name) => (name, true),
        None => (part.strip_prefix('+').unwrap_or(part), false),
    }
}

/// Reads a list of `{"field", "order": "asc" | "desc", "nulls": "first" | "last"}`, or the text
/// of [`parse_sort_text`]. Null: no order.
pub fn parse_sort_json(
    schema: &SchemaSnapshot,
    sort: &Json,
    pointer_base: &str,
) -> Result<Vec<Sort>, QuestionProblem> {
    let node = Node::from(sort);
    parse_node(schema, &Place::new(&node, pointer_base))
}

fn parse_node(schema: &SchemaSnapshot, place: &Place<'_>) -> Result<Vec<Sort>, QuestionProblem> {
    match &place.node.kind {
        Kind::Null => return Ok(Vec::new()),
        Kind::Text(text) if !text.trim_start().starts_with('[') => {
            return parse_sort_text(schema, text, &place.pointer);
        }
        _ => {}
    }
    let mut keys = Vec::new();
    for part in place.list()? {
        part.object(&["field", "order", "nulls"])?;
        let key = Sort {
            field: part.need("field")?.field(schema)?,
            descending: choice(&part, "order", ["asc", "desc"])?,
            nulls_first: choice(&part, "nulls", ["last", "first"])?,
        };
        push_key(schema, &mut keys, key, &part.pointer)?;
    }
    Ok(keys)
}

/// Whether the second of two words stands at a key; the first is the default.
pub(super) fn choice(
    place: &Place<'_>,
    key: &str,
    [first, second]: [&str; 2],
) -> Result<bool, QuestionProblem> {
    let Some(value) = place.get(key) else {
        return Ok(false);
    };
    let word = value.text()?;
    if word != first && word != second {
        return Err(value.invalid(format!("expected {first} or {second}")));
    }
    Ok(word == second)
}

fn push_key(
    schema: &SchemaSnapshot,
    keys: &mut Vec<Sort>,
    key: Sort,
    pointer: &str,
) -> Result<(), QuestionProblem> {
    let name = key.field.name(schema);
    let kind = key.field.property_type(schema);
    let message = if !kind.is_ordered() {
        format!("{name} is of type {kind}, which has no order")
    } else if keys.iter().any(|earlier| earlier.field == key.field) {
        format!("{name} is named twice")
    } else if keys.len() == SORT_KEYS_MAX {
        format!("a sort has at most {SORT_KEYS_MAX} keys")
    } else {
        keys.push(key);
        return Ok(());
    };
    Err(QuestionProblem::invalid(pointer, message))
}

/// The canonical form of a sort, for hashes; reading it gives the same sort back.
pub fn write_sort(schema: &SchemaSnapshot, sort: &[Sort]) -> Json {
    let key = |key: &Sort| {
        json!({
            "field": key.field.name(schema),
            "order": if key.descending { "desc" } else { "asc" },
            "nulls": if key.nulls_first { "first" } else { "last" },
        })
    };
    sort.iter().map(key).collect()
}

/// Reads `carrier,dep_delay`: the positions of the properties, ascending. The system fields
/// may be named; they come along anyhow.
pub fn parse_fields(
    schema: &SchemaSnapshot,
    text: &str,
    pointer_base: &str,
) -> Result<Vec<usize>, QuestionProblem> {
    let mut positions = Vec::new();
    for name in text.split(',').map(str::trim) {
        push_field(schema, name, pointer_base, &mut positions)?;
    }
    Ok(ascending(positions))
}

/// Reads `["carrier", "dep_delay"]`, or the text of [`parse_fields`]. Null: all, as `None`.
pub fn parse_fields_json(
    schema: &SchemaSnapshot,
    fields: &Json,
    pointer_base: &str,
) -> Result<Option<Vec<usize>>, QuestionProblem> {
    let names = match fields {
        Json::Null => return Ok(None),
        Json::String(text) => return parse_fields(schema, text, pointer_base).map(Some),
        Json::Array(names) => names,
        _ => {
            return Err(QuestionProblem::invalid(
                pointer_base,
                "expected a list of names",
            ));
        }
    };
    let mut positions = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let pointer = item(pointer_base, index);
        let Some(name) = name.as_str() else {
            return Err(QuestionProblem::invalid(
                pointer,
                "expected the name of a property",
            ));
        };
        push_field(schema, name, &pointer, &mut positions)?;
    }
    Ok(Some(ascending(positions)))
}

fn push_field(
    schema: &SchemaSnapshot,
    name: &str,
    pointer: &str,
    positions: &mut Vec<usize>,
) -> Result<(), QuestionProblem> {
    if name == "schema_name" {
        return Ok(());
    }
    if let Field::Property(position) = find_field(schema, name, pointer)? {
        positions.push(position);
    }
    Ok(())
}

fn ascending(mut positions: Vec<usize>) -> Vec<usize> {
    positions.sort_unstable();
    positions.dedup();
    positions
}
