//! How two schemas differ, in words.

use serde_json::{Map, Value as Json};

use staffa_domain::schema::{Property, Schema};

use super::write::{write_property, write_schema};

/// What differs from `from` to `to`, a line each; descriptions and `renamed_from` do not
/// count. Empty when both mean the same.
pub fn difference(from: &Schema, to: &Schema) -> Vec<String> {
    let mut lines = Vec::new();
    compare(
        "the schema",
        &without_properties(from),
        &without_properties(to),
        &mut lines,
    );
    for property in &from.properties {
        let name = property.name.as_str();
        match to.position(name) {
            Some(at) => {
                let label = format!("property {name}");
                compare(
                    &label,
                    &plain(property),
                    &plain(&to.properties[at]),
                    &mut lines,
                );
            }
            None => lines.push(format!("property {name} is gone")),
        }
    }
    for property in &to.properties {
        if from.position(property.name.as_str()).is_none() {
            lines.push(format!("property {} is new", property.name));
        }
    }
    let order = |schema: &Schema| -> Vec<String> {
        schema
            .properties
            .iter()
            .map(|property| property.name.to_string())
            .collect()
    };
    if lines.is_empty() && order(from) != order(to) {
        lines.push("the properties are in another order".to_owned());
    }
    lines
}

fn without_properties(schema: &Schema) -> Map<String, Json> {
    let mut map = match write_schema(schema) {
        Json::Object(map) => map,
        _ => Map::new(),
    };
    map.remove("properties");
    map.remove("description");
    map
}

fn plain(property: &Property) -> Map<String, Json> {
    let mut map = write_property(property);
    map.remove("description");
    map.remove("renamed_from");
    map
}

fn compare(label: &str, from: &Map<String, Json>, to: &Map<String, Json>, lines: &mut Vec<String>) {
    for (key, old) in from {
        match to.get(key) {
            None => lines.push(format!("{label}: {key} was {old} and is not set")),
            Some(new) if new != old => {
                lines.push(format!("{label}: {key} was {old} and is {new}"));
            }
            Some(_) => {}
        }
    }
    for (key, new) in to {
        if !from.contains_key(key) {
            lines.push(format!("{label}: {key} was not set and is {new}"));
        }
    }
}
