//! A schema as JSON Schema 2020-12.

use serde_json::{Map, Value as Json, json};

use staffa_domain::schema::{
    Constraints, DecimalSize, Property, PropertyType, SchemaSnapshot, UnknownProperties,
};
use staffa_domain::value::Value;

use crate::text::format::value_json;

/// The JSON Schema of a record's `data`. Decimals are strings, so that their bounds are told
/// by `x-minimum` and the like; `x-indexed` and `x-unique` tell the flags.
pub fn json_schema(snapshot: &SchemaSnapshot) -> Json {
    let schema = snapshot.schema();
    let mut out = Map::new();
    out.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    out.insert("title".into(), schema.name.as_str().into());
    if let Some(description) = &schema.description {
        out.insert("description".into(), description.as_str().into());
    }
    out.insert("type".into(), "object".into());
    let properties: Map<String, Json> = schema
        .properties
        .iter()
        .map(|property| (property.name.to_string(), property_schema(property)))
        .collect();
    out.insert("properties".into(), properties.into());
    // A required property with a default may be left out: the default stands in.
    let required: Vec<Json> = schema
        .properties
        .iter()
        .filter(|property| property.required && property.default.is_none())
        .map(|property| property.name.as_str().into())
        .collect();
    if !required.is_empty() {
        out.insert("required".into(), required.into());
    }
    let open = schema.unknown_properties == UnknownProperties::Ignore;
    out.insert("additionalProperties".into(), open.into());
    if !schema.primary_key.is_empty() {
        out.insert("x-primary-key".into(), super::write::names(schema));
    }
    Json::Object(out)
}

fn property_schema(property: &Property) -> Json {
    let kind = &property.property_type;
    let mut out = type_schema(kind);
    if !property.required
        && let Some(word) = out.remove("type")
    {
        // `type` keeps its place as the first key.
        let rest = std::mem::take(&mut out);
        out.insert("type".into(), json!([word, "null"]));
        out.extend(rest);
    }
    if let Some(description) = &property.description {
        out.insert("description".into(), description.as_str().into());
    }
    put_constraints(property, &mut out);
    if let Some(default) = &property.default {
        out.insert("default".into(), value_json(kind, default));
    }
    for (set, key) in [
        (property.indexed, "x-indexed"),
        (property.unique, "x-unique"),
    ] {
        if set {
            out.insert(key.into(), true.into());
        }
    }
    Json::Object(out)
}

fn type_schema(kind: &PropertyType) -> Map<String, Json> {
    let json = match kind {
        PropertyType::String => json!({"type": "string"}),
        PropertyType::Integer => json!({"type": "integer", "format": "int64"}),
        PropertyType::Number => json!({"type": "number", "format": "double"}),
        PropertyType::Decimal(size) => json!({
            "type": "string",
            "format": "decimal",
            "pattern": decimal_pattern(*size),
        }),
        PropertyType::Boolean => json!({"type": "boolean"}),
        PropertyType::Date => json!({"type": "string", "format": "date"}),
        PropertyType::Datetime => json!({"type": "string", "format": "date-time"}),
        PropertyType::Uuid => json!({"type": "string", "format": "uuid"}),
        PropertyType::Object => json!({"type": "object"}),
        PropertyType::Array(items) => json!({"type": "array", "items": type_schema(items)}),
    };
    match json {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

fn decimal_pattern(size: DecimalSize) -> String {
    let whole = i16::from(size.precision) - i16::from(size.scale);
    let whole = if whole < 1 {
        "0".to_owned()
    } else {
        format!("[0-9]{{1,{whole}}}")
    };
    if size.scale == 0 {
        format!("^-?{whole}$")
    } else {
        format!("^-?{whole}(\\.[0-9]{{1,{}}})?$", size.scale)
    }
}

fn put_constraints(property: &Property, out: &mut Map<String, Json>) {
    let Constraints {
        minimum,
        maximum,
        exclusive_minimum,
        exclusive_maximum,
        min_length,
        max_length,
        pattern,
        one_of,
        min_items,
        max_items,
    } = &property.constraints;
    let kind = &property.property_type;
    // JSON Schema bounds numbers alone.
    let numeric = matches!(kind, PropertyType::Integer | PropertyType::Number);
    let bounds: [(&Option<Value>, &str, &str); 4] = [
        (minimum, "minimum", "x-minimum"),
        (maximum, "maximum", "x-maximum"),
        (exclusive_minimum, "exclusiveMinimum", "x-exclusive-minimum"),
        (exclusive_maximum, "exclusiveMaximum", "x-exclusive-maximum"),
    ];
    for (bound, key, other) in bounds {
        if let Some(bound) = bound {
            let key = if numeric { key } else { other };
            out.insert(key.into(), value_json(kind, bound));
        }
    }
    for (count, key) in [
        (min_length, "minLength"),
        (max_length, "maxLength"),
        (min_items, "minItems"),
        (max_items, "maxItems"),
    ] {
        if let Some(count) = count {
            out.insert(key.into(), (*count).into());
        }
    }
    if let Some(pattern) = pattern {
        out.insert("pattern".into(), pattern.as_str().into());
    }
    if !one_of.is_empty() {
        let mut members: Vec<Json> = one_of.iter().map(|value| value_json(kind, value)).collect();
        if !property.required {
            members.push(Json::Null);
        }
        out.insert("enum".into(), members.into());
    }
}
