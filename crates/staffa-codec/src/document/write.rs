//! A schema to its canonical document, defaults left out.

use serde_json::{Map, Value as Json, json};

use staffa_domain::schema::{Constraints, Property, PropertyType, Schema, UnknownProperties};
use staffa_domain::value::Value;

use crate::text::format::value_json;

/// The canonical document of a schema: reading it gives the same schema back.
pub fn write_schema(schema: &Schema) -> Json {
    let mut out = Map::new();
    out.insert("name".into(), schema.name.as_str().into());
    put(&mut out, "description", schema.description.as_deref());
    if !schema.primary_key.is_empty() {
        out.insert("primary_key".into(), names(schema));
    }
    if schema.append_only {
        out.insert("append_only".into(), true.into());
    }
    if schema.unknown_properties == UnknownProperties::Ignore {
        out.insert("unknown_properties".into(), "ignore".into());
    }
    put(
        &mut out,
        "distributed_by",
        schema
            .distributed_by
            .as_ref()
            .map(staffa_domain::PropertyName::as_str),
    );
    let properties = schema
        .properties
        .iter()
        .map(write_property)
        .map(Json::Object);
    out.insert("properties".into(), properties.collect());
    Json::Object(out)
}

/// The names of the primary key.
pub(super) fn names(schema: &Schema) -> Json {
    schema
        .primary_key
        .iter()
        .map(|name| json!(name.as_str()))
        .collect()
}

fn put(out: &mut Map<String, Json>, key: &str, value: Option<impl Into<Json>>) {
    if let Some(value) = value {
        out.insert(key.to_owned(), value.into());
    }
}

/// One property as a document has it.
pub(super) fn write_property(property: &Property) -> Map<String, Json> {
    let kind = &property.property_type;
    let mut out = Map::new();
    out.insert("name".into(), property.name.as_str().into());
    out.insert("type".into(), kind.word().into());
    let scalar = match kind {
        PropertyType::Array(items) => {
            out.insert("items".into(), items.word().into());
            items
        }
        other => other,
    };
    if let PropertyType::Decimal(size) = scalar {
        out.insert("precision".into(), size.precision.into());
        out.insert("scale".into(), size.scale.into());
    }
    for (set, flag) in [
        (property.required, "required"),
        (property.indexed, "indexed"),
        (property.unique, "unique"),
    ] {
        if set {
            out.insert(flag.into(), true.into());
        }
    }
    write_constraints(kind, &property.constraints, &mut out);
    put(
        &mut out,
        "default",
        property
            .default
            .as_ref()
            .map(|value| value_json(kind, value)),
    );
    put(&mut out, "description", property.description.as_deref());
    put(
        &mut out,
        "renamed_from",
        property
            .renamed_from
            .as_ref()
            .map(staffa_domain::PropertyName::as_str),
    );
    out
}

fn write_constraints(kind: &PropertyType, rules: &Constraints, out: &mut Map<String, Json>) {
    let bound = |bound: &Option<Value>| bound.as_ref().map(|value| value_json(kind, value));
    put(out, "minimum", bound(&rules.minimum));
    put(out, "maximum", bound(&rules.maximum));
    put(out, "exclusive_minimum", bound(&rules.exclusive_minimum));
    put(out, "exclusive_maximum", bound(&rules.exclusive_maximum));
    put(out, "min_length", rules.min_length);
    put(out, "max_length", rules.max_length);
    put(
        out,
        "pattern",
        rules
            .pattern
            .as_ref()
            .map(staffa_domain::schema::Pattern::as_str),
    );
    if !rules.one_of.is_empty() {
        let members = rules.one_of.iter().map(|value| value_json(kind, value));
        out.insert("enum".into(), members.collect());
    }
    put(out, "min_items", rules.min_items);
    put(out, "max_items", rules.max_items);
}
