//! What things are called in the database.

use staffa_domain::schema::PropertyId;
use staffa_domain::{Field, SchemaSnapshot};

/// An identifier in quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The table that holds a schema's records.
pub(crate) fn table(schema: &SchemaSnapshot) -> String {
    format!("records.{}", quoted(schema.name()))
}

/// The column of a property: its number, so that renaming it is free.
pub(crate) fn column(id: PropertyId) -> String {
    format!("c{}", id.0)
}

/// The column of the property at a position.
pub(crate) fn property(schema: &SchemaSnapshot, position: usize) -> String {
    column(schema.property_ids()[position])
}

/// All columns of a table in the order of the record layout.
pub(crate) fn columns(schema: &SchemaSnapshot) -> Vec<String> {
    let system: &[&str] = if schema.schema().append_only {
        &["id", "created_at"]
    } else {
        &["id", "created_at", "updated_at", "version"]
    };
    let properties = schema.property_ids().iter().map(|id| column(*id));
    system
        .iter()
        .map(ToString::to_string)
        .chain(properties)
        .collect()
}

/// A field as an expression. A record that is never changed keeps no version and no time
/// of its last change: both are known.
pub(crate) fn field(schema: &SchemaSnapshot, field: Field) -> String {
    let append_only = schema.schema().append_only;
    match field {
        Field::Id => "id".to_owned(),
        Field::CreatedAt => "created_at".to_owned(),
        Field::UpdatedAt if append_only => "created_at".to_owned(),
        Field::UpdatedAt => "updated_at".to_owned(),
        Field::Version if append_only => "1::bigint".to_owned(),
        Field::Version => "version".to_owned(),
        Field::Property(position) => property(schema, position),
    }
}

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexKind {
    /// The record's id.
    Id,
    /// Properties that are unique together.
    Unique,
    /// A property that is looked for.
    Plain,
}

/// The name of an index: readable at its start, and told apart by a hash, since a table's
/// name alone may fill all 63 bytes. The dot keeps it from being a table's name.
pub(crate) fn index(schema: &SchemaSnapshot, kind: IndexKind, positions: &[usize]) -> String {
    let mut key = format!("{}.{kind:?}", schema.name());
    for position in positions {
        key.push('.');
        key.push_str(&property(schema, *position));
    }
    let letter = match kind {
        IndexKind::Id => 'i',
        IndexKind::Unique => 'u',
        IndexKind::Plain => 'p',
    };
    format!(
        "{:.30}.{letter}{:016x}",
        schema.name(),
        fnv1a(key.as_bytes())
    )
}

/// The properties of which a violated unique index speaks. A distributed table's shards
/// carry the name with their number behind it.
pub(crate) fn index_properties(schema: &SchemaSnapshot, name: &str) -> Option<Vec<String>> {
    let is = |index: String| {
        name.strip_prefix(&index)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    if is(index(schema, IndexKind::Id, &[])) {
        return Some(vec!["id".to_owned()]);
    }
    let groups = schema.schema().unique_groups();
    let group = groups
        .into_iter()
        .find(|group| is(index(schema, IndexKind::Unique, group)))?;
    let names = group
        .iter()
        .map(|position| &schema.schema().properties[*position].name);
    Some(names.map(ToString::to_string).collect())
}

/// FNV-1a: stable across versions and machines, which the standard hasher is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
