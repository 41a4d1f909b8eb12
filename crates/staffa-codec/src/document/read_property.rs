//! One property of a document: its type, flags and constraints.

use std::collections::HashSet;

use staffa_domain::schema::{
    Constraints, DecimalSize, Pattern, Property, PropertyName, PropertyType,
};
use staffa_domain::value::Value;

use super::nearest::suggestion;
use super::node::{Kind, Node, Texts, item, step};
use super::read::Problems;
use super::{DECIMAL_PRECISION, DECIMAL_SCALE};
use crate::text::format::value_text;

const KEYS: [&str; 23] = [
    "name",
    "type",
    "items",
    "precision",
    "scale",
    "required",
    "indexed",
    "is_indexed",
    "unique",
    "is_unique",
    "default",
    "description",
    "renamed_from",
    "minimum",
    "maximum",
    "exclusive_minimum",
    "exclusive_maximum",
    "min_length",
    "max_length",
    "pattern",
    "enum",
    "min_items",
    "max_items",
];

/// Reads the list of properties; those that can't be read are left out and noted.
pub(super) fn read_all(node: &Node, problems: &mut Problems) -> Vec<Property> {
    let list = problems.list(node, "/properties").unwrap_or_default();
    let each = list.iter().enumerate();
    each.filter_map(|(at, node)| {
        let pointer = item("/properties", at);
        Reader {
            node,
            pointer,
            problems,
        }
        .read()
    })
    .collect()
}

struct Reader<'a> {
    node: &'a Node,
    pointer: String,
    problems: &'a mut Problems,
}

impl<'a> Reader<'a> {
    fn read(mut self) -> Option<Property> {
        self.problems.entries(self.node, &self.pointer, &KEYS)?;
        let name = self.name();
        let kind = self.property_type();
        let required = self.flag("required", "required");
        let indexed = self.flag("indexed", "is_indexed");
        let unique = self.flag("unique", "is_unique");
        let description = self.optional_text("description");
        let renamed_from = self.there("renamed_from").and_then(|node| {
            self.problems
                .property_name(node, &step(&self.pointer, "renamed_from"))
        });
        let kind = kind?;
        let constraints = self.constraints(&kind);
        let default = self.value("default", &kind);
        Some(Property {
            name: name?,
            property_type: kind,
            required,
            indexed,
            unique,
            default,
            description,
            constraints,
            renamed_from,
        })
    }

    /// The value at a key, unless it is absent or null.
    fn there(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key).filter(|node| node.kind != Kind::Null)
    }

    fn refuse(&mut self, key: &str, node: &Node, message: &str) {
        let pointer = step(&self.pointer, key);
        self.problems.push(&pointer, node.mark, message);
    }

    fn missing(&mut self, key: &str) {
        let message = format!("the key {key} is missing");
        self.problems.push(&self.pointer, self.node.mark, &message);
    }

    fn name(&mut self) -> Option<PropertyName> {
        let Some(node) = self.node.get("name") else {
            self.missing("name");
            return None;
        };
        self.problems
            .property_name(node, &step(&self.pointer, "name"))
    }

    fn optional_text(&mut self, key: &str) -> Option<String> {
        let node = self.there(key)?;
        self.problems.text(node, &step(&self.pointer, key))
    }

    fn flag(&mut self, key: &str, alias: &str) -> bool {
        if key != alias
            && self.node.get(key).is_some()
            && let Some(node) = self.node.get(alias)
        {
            self.refuse(
                alias,
                node,
                &format!("{alias} is another word for {key}: keep one"),
            );
        }
        let found = self.node.get(key).map(|node| (key, node));
        let Some((key, node)) = found.or_else(|| self.node.get(alias).map(|node| (alias, node)))
        else {
            return false;
        };
        let pointer = step(&self.pointer, key);
        self.problems.boolean(node, &pointer).unwrap_or_default()
    }

    fn property_type(&mut self) -> Option<PropertyType> {
        let Some(node) = self.node.get("type") else {
            self.missing("type");
            return None;
        };
        let word = self.problems.text(node, &step(&self.pointer, "type"))?;
        let kind = if word == "array" {
            let Some(items) = self.node.get("items") else {
                self.missing("items");
                return None;
            };
            let word = self.problems.text(items, &step(&self.pointer, "items"))?;
            let scalar = self.scalar("items", items, &word)?;
            PropertyType::Array(Box::new(scalar))
        } else {
            if let Some(items) = self.node.get("items") {
                self.refuse(
                    "items",
                    items,
                    &format!("items means nothing for type {word}"),
                );
            }
            self.scalar("type", node, &word)?
        };
        let decimal = matches!(&kind, PropertyType::Decimal(_))
            || matches!(&kind, PropertyType::Array(item) if matches!(**item, PropertyType::Decimal(_)));
        for key in ["precision", "scale"] {
            if let Some(node) = self.node.get(key).filter(|_| !decimal) {
                self.refuse(key, node, &format!("{key} means nothing for type {kind}"));
            }
        }
        Some(kind)
    }

    /// The type of a word; of `items`, scalars alone.
    fn scalar(&mut self, key: &str, node: &Node, word: &str) -> Option<PropertyType> {
        let kind = match word {
            "string" => PropertyType::String,
            "integer" => PropertyType::Integer,
            "number" => PropertyType::Number,
            "decimal" => PropertyType::Decimal(self.decimal_size()),
            "boolean" => PropertyType::Boolean,
            "date" => PropertyType::Date,
            "datetime" => PropertyType::Datetime,
            "uuid" => PropertyType::Uuid,
            "object" if key == "type" => PropertyType::Object,
            "object" | "array" => {
                self.refuse(key, node, "the items of an array are scalars");
                return None;
            }
            _ => {
                let near = suggestion(word, PropertyType::WORDS);
                let words = PropertyType::WORDS.join(", ");
                let hint = if near.is_empty() {
                    format!("; the types are {words}")
                } else {
                    near
                };
                self.refuse(key, node, &format!("unknown type {word}{hint}"));
                return None;
            }
        };
        Some(kind)
    }

    fn decimal_size(&mut self) -> DecimalSize {
        let precision = self.count("precision");
        let scale = self.count("scale");
        // A small precision by itself must not be refused for the default scale.
        let own = precision.unwrap_or(DECIMAL_PRECISION.into());
        let scale = scale.unwrap_or_else(|| own.min(DECIMAL_SCALE.unsigned_abs().into()));
        DecimalSize {
            precision: u8::try_from(own).unwrap_or(u8::MAX),
            scale: i8::try_from(scale).unwrap_or(i8::MAX),
        }
    }

    fn count(&mut self, key: &str) -> Option<u64> {
        let node = self.there(key)?;
        let count = match &node.kind {
            Kind::Number(text) => text.parse().ok(),
            _ => None,
        };
        if count.is_none() {
            self.refuse(key, node, "expected a whole number from zero");
        }
        count
    }

    fn value(&mut self, key: &str, kind: &PropertyType) -> Option<Value> {
        let node = self.there(key)?;
        match node.typed(kind, Texts::WhereNeeded) {
            // As `serde_json` writes it, so that the canonical document gives the same text.
            Ok(Value::Object(text)) => match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(json) => Some(Value::Object(json.to_string())),
                Err(_) => {
                    self.refuse(key, node, "a number in the object is too large");
                    None
                }
            },
            Ok(value) => Some(value),
            Err(message) => {
                self.refuse(key, node, &message);
                None
            }
        }
    }

    fn constraints(&mut self, kind: &PropertyType) -> Constraints {
        Constraints {
            minimum: self.value("minimum", kind),
            maximum: self.value("maximum", kind),
            exclusive_minimum: self.value("exclusive_minimum", kind),
            exclusive_maximum: self.value("exclusive_maximum", kind),
            min_length: self.count("min_length"),
            max_length: self.count("max_length"),
            pattern: self.pattern(),
            one_of: self.one_of(kind),
            min_items: self.count("min_items"),
            max_items: self.count("max_items"),
        }
    }

    fn pattern(&mut self) -> Option<Pattern> {
        let node = self.there("pattern")?;
        let text = self.problems.text(node, &step(&self.pointer, "pattern"))?;
        match Pattern::new(&text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                // The first lines of the crate's message draw the expression; the last says why.
                let shown = error.to_string();
                let why = shown.lines().last().unwrap_or_default();
                let why = why.trim_start_matches("error: ");
                self.refuse("pattern", node, &format!("not a regular expression: {why}"));
                None
            }
        }
    }

    fn one_of(&mut self, kind: &PropertyType) -> Vec<Value> {
        let Some(node) = self.there("enum") else {
            return Vec::new();
        };
        let pointer = step(&self.pointer, "enum");
        let Some(list) = self.problems.list(node, &pointer) else {
            return Vec::new();
        };
        if list.is_empty() {
            self.refuse("enum", node, "an enum needs at least one value");
        }
        let mut values = Vec::with_capacity(list.len());
        let mut listed = HashSet::new();
        for (at, node) in list.iter().enumerate() {
            let pointer = item(&pointer, at);
            match node.typed(kind, Texts::WhereNeeded) {
                Ok(Value::Null) => self
                    .problems
                    .push(&pointer, node.mark, "null can't be listed"),
                Ok(value) if !listed.insert(value_text(kind, &value)) => {
                    self.problems
                        .push(&pointer, node.mark, "the value is listed twice");
                }
                Ok(value) => values.push(value),
                Err(message) => self.problems.push(&pointer, node.mark, &message),
            }
        }
        values
    }
}
