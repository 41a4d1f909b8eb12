//! The text by which an engine keeps a schema: its document and the numbers of its properties.

use serde_json::{Value as Json, json};

use staffa_domain::ports::StoredSchema;
use staffa_domain::schema::{PropertyId, SchemaProblem, SchemaSnapshot};

use super::node::{Kind, Node};
use super::read::{DocumentError, DocumentForm, KEYS, Problems, finish, read_node, read_tree};
use super::write::write_schema;

/// The stored form of a snapshot, without its version, which the engine keeps beside it.
pub fn write_stored(snapshot: &SchemaSnapshot) -> String {
    let mut document = write_schema(snapshot.schema());
    if let Json::Object(map) = &mut document {
        let ids = snapshot.property_ids().iter().map(|id| json!(id.0));
        map.insert("property_ids".into(), ids.collect());
        map.insert(
            "next_property_id".into(),
            snapshot.next_property_id().into(),
        );
    }
    document.to_string()
}

/// Reads what [`write_stored`] wrote.
///
/// # Errors
/// What is wrong with the text, which then someone else changed.
pub fn read_stored(stored: &StoredSchema) -> Result<SchemaSnapshot, Vec<SchemaProblem>> {
    let root =
        read_tree(&stored.document, DocumentForm::Json).map_err(DocumentError::into_problems)?;
    let valid: Vec<&str> = KEYS
        .into_iter()
        .chain(["property_ids", "next_property_id"])
        .collect();
    let mut problems = Problems::default();
    let schema = read_node(&root, &valid, &mut problems);
    let schema = finish(schema, problems)?;
    let problem = |pointer: &str, message: &str| vec![SchemaProblem::new(pointer, message)];
    let ids = property_ids(&root)
        .filter(|ids| ids.len() == schema.properties.len())
        .ok_or_else(|| problem("/property_ids", "expected one whole number a property"))?;
    let next = root
        .get("next_property_id")
        .and_then(number)
        .filter(|next| ids.iter().all(|id| id.0 < *next))
        .ok_or_else(|| problem("/next_property_id", "expected a number above all in use"))?;
    if schema.name.as_str() != stored.name {
        return Err(problem("/name", "the document is of another schema"));
    }
    Ok(SchemaSnapshot::restore(schema, stored.version, ids, next))
}

fn property_ids(root: &Node) -> Option<Vec<PropertyId>> {
    let list = root.get("property_ids")?.as_list()?;
    list.iter()
        .map(|node| number(node).map(PropertyId))
        .collect()
}

fn number(node: &Node) -> Option<u32> {
    match &node.kind {
        Kind::Number(text) => text.parse().ok(),
        _ => None,
    }
}
