//! A schema as the API lists it.

use serde_json::{Value as Json, json};

use staffa_domain::Count;
use staffa_domain::schema::{SchemaSnapshot, UnknownProperties};

use super::write::{names, write_property};

/// The element of `GET /schemas`: the document with its flags spelt out, the version, and how
/// many records there are, where that is known.
pub fn describe(snapshot: &SchemaSnapshot, record_count: Option<Count>) -> Json {
    let schema = snapshot.schema();
    let properties: Vec<Json> = schema
        .properties
        .iter()
        .map(|property| {
            let mut out = write_property(property);
            for (key, set) in [
                ("required", property.required),
                ("indexed", property.indexed),
                ("unique", property.unique),
            ] {
                out.insert(key.into(), set.into());
            }
            Json::Object(out)
        })
        .collect();
    let unknown = match schema.unknown_properties {
        UnknownProperties::Reject => "reject",
        UnknownProperties::Ignore => "ignore",
    };
    json!({
        "name": schema.name.as_str(),
        "description": schema.description,
        "version": snapshot.version(),
        "primary_key": names(schema),
        "append_only": schema.append_only,
        "unknown_properties": unknown,
        "distributed_by": schema.distributed_by.as_ref().map(staffa_domain::PropertyName::as_str),
        "properties": properties,
        "record_count": record_count.map(|count| count.records),
        "record_count_relation": record_count.map(Count::relation),
    })
}
