//! Whether a schema holds together, beyond what its document's form can say.

use std::collections::HashSet;

use crate::schema::{Constraints, Property, PropertyType, Schema};
use crate::value::Value;

/// The most properties a schema may have.
const PROPERTIES_MAX: usize = 1_000;

/// One thing wrong with a schema, and where in its document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct SchemaProblem {
    /// A JSON pointer (RFC 6901) into the document.
    pub pointer: String,
    /// What is wrong, for a person.
    pub message: String,
}

impl SchemaProblem {
    /// Says what is wrong at a pointer.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

/// Finds everything wrong with a schema; empty when it may be used.
pub fn check(schema: &Schema) -> Vec<SchemaProblem> {
    let mut problems = Vec::new();
    check_names(schema, &mut problems);
    check_key(schema, &mut problems);
    for (position, property) in schema.properties.iter().enumerate() {
        let place = format!("/properties/{position}");
        check_flags(schema, property, &place, &mut problems);
        check_values(property, &place, &mut problems);
        check_applicable(property, &place, &mut problems);
        check_ranges(&property.constraints, &place, &mut problems);
    }
    problems
}

fn check_names(schema: &Schema, problems: &mut Vec<SchemaProblem>) {
    if schema.properties.is_empty() {
        problems.push(SchemaProblem::new(
            "/properties",
            "a schema needs at least one property",
        ));
    }
    if schema.properties.len() > PROPERTIES_MAX {
        let message = format!("a schema has at most {PROPERTIES_MAX} properties");
        problems.push(SchemaProblem::new("/properties", message));
    }
    let mut seen = HashSet::new();
    for (position, property) in schema.properties.iter().enumerate() {
        if !seen.insert(property.name.as_str().to_ascii_lowercase()) {
            let message = format!("the property {} is declared twice", property.name);
            problems.push(SchemaProblem::new(
                format!("/properties/{position}/name"),
                message,
            ));
        }
    }
}

fn check_key(schema: &Schema, problems: &mut Vec<SchemaProblem>) {
    let mut seen = HashSet::new();
    for (index, name) in schema.primary_key.iter().enumerate() {
        let place = format!("/primary_key/{index}");
        if !seen.insert(name.clone()) {
            problems.push(SchemaProblem::new(place, format!("{name} is named twice")));
            continue;
        }
        let Some(position) = schema.position(name.as_str()) else {
            problems.push(SchemaProblem::new(
                place,
                format!("there is no property {name}"),
            ));
            continue;
        };
        let property = &schema.properties[position];
        if !property.property_type.is_ordered() {
            let message = format!(
                "{name} is an {}, which no key can hold",
                property.property_type
            );
            problems.push(SchemaProblem::new(place, message));
        } else if !property.required {
            let message = format!("{name} is part of the primary key and must be required");
            problems.push(SchemaProblem::new(place, message));
        }
    }
    if let Some(name) = &schema.distributed_by
        && schema.position(name.as_str()).is_none()
    {
        let message = format!("there is no property {name}");
        problems.push(SchemaProblem::new("/distributed_by", message));
    }
}

fn check_flags(
    schema: &Schema,
    property: &Property,
    place: &str,
    problems: &mut Vec<SchemaProblem>,
) {
    let ordered = property.property_type.is_ordered();
    for (set, flag) in [(property.indexed, "indexed"), (property.unique, "unique")] {
        if set && !ordered {
            let message = format!(
                "a property of type {} can't be {flag}",
                property.property_type
            );
            problems.push(SchemaProblem::new(format!("{place}/{flag}"), message));
        }
    }
    if schema.append_only && property.unique {
        let message = "an append_only schema keeps no unique index; drop one of the two";
        problems.push(SchemaProblem::new(format!("{place}/unique"), message));
    }
    if schema.append_only && property.indexed {
        let message = "an append_only schema keeps no index; drop one of the two";
        problems.push(SchemaProblem::new(format!("{place}/indexed"), message));
    }
    if let PropertyType::Decimal(size) = decimal_of(&property.property_type) {
        let scale = u8::try_from(size.scale).unwrap_or(u8::MAX);
        if !(1..=38).contains(&size.precision) || scale > size.precision {
            let message = "precision is 1 to 38 and scale 0 to precision";
            problems.push(SchemaProblem::new(format!("{place}/precision"), message));
        }
    }
}

const fn decimal_of(property_type: &PropertyType) -> &PropertyType {
    match property_type {
        PropertyType::Array(items) => items,
        other => other,
    }
}

fn check_values(property: &Property, place: &str, problems: &mut Vec<SchemaProblem>) {
    let kind = &property.property_type;
    let constraints = &property.constraints;
    let mut typed = |value: &Value, key: &str| {
        if !kind.holds(value) {
            let message = format!("{value} is no {kind}");
            problems.push(SchemaProblem::new(format!("{place}/{key}"), message));
        }
    };
    for (bound, key) in bounds(constraints) {
        typed(bound, key);
    }
    for (index, value) in constraints.one_of.iter().enumerate() {
        typed(value, &format!("enum/{index}"));
    }
    if let Some(default) = &property.default {
        typed(default, "default");
        if let Err((_, message)) = crate::batch::check_value(property, default) {
            let message = format!("the default breaks the property's own rule: {message}");
            problems.push(SchemaProblem::new(format!("{place}/default"), message));
        }
    }
}

fn bounds(constraints: &Constraints) -> impl Iterator<Item = (&Value, &'static str)> {
    [
        (&constraints.minimum, "minimum"),
        (&constraints.maximum, "maximum"),
        (&constraints.exclusive_minimum, "exclusive_minimum"),
        (&constraints.exclusive_maximum, "exclusive_maximum"),
    ]
    .into_iter()
    .filter_map(|(bound, key)| bound.as_ref().map(|bound| (bound, key)))
}

/// Refuses constraints that mean nothing for the type, so that none is silently ignored.
fn check_applicable(property: &Property, place: &str, problems: &mut Vec<SchemaProblem>) {
    let constraints = &property.constraints;
    let kind = &property.property_type;
    let text = matches!(kind, PropertyType::String);
    let list = matches!(kind, PropertyType::Array(_));
    let bounded = kind.is_ordered() && !matches!(kind, PropertyType::Boolean | PropertyType::Uuid);
    let mut refuse = |set: bool, key: &str| {
        if set {
            let message = format!("{key} means nothing for type {kind}");
            problems.push(SchemaProblem::new(format!("{place}/{key}"), message));
        }
    };
    for (_, key) in bounds(constraints) {
        refuse(!bounded || text, key);
    }
    refuse(constraints.min_length.is_some() && !text, "min_length");
    refuse(constraints.max_length.is_some() && !text, "max_length");
    refuse(constraints.pattern.is_some() && !text, "pattern");
    refuse(constraints.min_items.is_some() && !list, "min_items");
    refuse(constraints.max_items.is_some() && !list, "max_items");
    refuse(!constraints.one_of.is_empty() && !kind.is_ordered(), "enum");
}

fn check_ranges(constraints: &Constraints, place: &str, problems: &mut Vec<SchemaProblem>) {
    let crossed = |low: &Option<Value>, high: &Option<Value>| match (low, high) {
        (Some(low), Some(high)) => low.compare(high).is_some_and(std::cmp::Ordering::is_gt),
        _ => false,
    };
    if crossed(&constraints.minimum, &constraints.maximum) {
        let message = "minimum is larger than maximum";
        problems.push(SchemaProblem::new(format!("{place}/minimum"), message));
    }
    let lengths = (constraints.min_length, constraints.max_length, "min_length");
    let items = (constraints.min_items, constraints.max_items, "min_items");
    for (low, high, key) in [lengths, items] {
        if let (Some(low), Some(high)) = (low, high)
            && low > high
        {
            let message = format!("{key} is larger than its maximum");
            problems.push(SchemaProblem::new(format!("{place}/{key}"), message));
        }
    }
}
