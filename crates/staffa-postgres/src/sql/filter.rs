//! Conditions as SQL, with the domain's three-valued meaning.

use staffa_domain::query::{Comparison, Condition, Test};
use staffa_domain::{Field, Filter, PropertyType, SchemaSnapshot, Value};

use crate::copy::Param;
use crate::sql::{Params, names};

/// A filter as a boolean expression.
pub(super) fn filter(schema: &SchemaSnapshot, filter: &Filter, params: &mut Params) -> String {
    match filter {
        Filter::And(parts) => joined(schema, parts, ("AND", "true"), params),
        Filter::Or(parts) => joined(schema, parts, ("OR", "false"), params),
        Filter::Not(part) => format!("NOT ({})", self::filter(schema, part, params)),
        Filter::Condition(leaf) => condition(schema, leaf, params),
    }
}

/// The WHERE clause of an optional filter, empty when there is none.
pub(super) fn clause(
    schema: &SchemaSnapshot,
    filter: Option<&Filter>,
    params: &mut Params,
) -> String {
    match filter {
        Some(filter) => format!(" WHERE {}", self::filter(schema, filter, params)),
        None => String::new(),
    }
}

fn joined(
    schema: &SchemaSnapshot,
    parts: &[Filter],
    (word, empty): (&str, &str),
    params: &mut Params,
) -> String {
    if parts.is_empty() {
        return empty.to_owned();
    }
    let parts: Vec<String> = parts
        .iter()
        .map(|part| format!("({})", filter(schema, part, params)))
        .collect();
    parts.join(&format!(" {word} "))
}

/// The sign of a comparison.
pub(super) const fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Eq => "=",
        Comparison::Ne => "<>",
        Comparison::Gt => ">",
        Comparison::Gte => ">=",
        Comparison::Lt => "<",
        Comparison::Lte => "<=",
    }
}

fn condition(schema: &SchemaSnapshot, leaf: &Condition, params: &mut Params) -> String {
    let name = names::field(schema, leaf.field);
    let kind = leaf.field.property_type(schema);
    match &leaf.test {
        Test::Compare(comparison, value) => {
            let value = params.add(Param::value(value, kind));
            format!("{name} {} {value}", sign(*comparison))
        }
        // An empty list is false for a value, but unknown for null, which `= ANY` is not.
        Test::In(values) if values.is_empty() => format!("({name} IS NULL AND NULL)"),
        Test::In(values) => format!("{name} = ANY({})", params.add(Param::values(values, kind))),
        Test::Between(low, high) => {
            let low = params.add(Param::value(low, kind));
            let high = params.add(Param::value(high, kind));
            format!("{name} BETWEEN {low} AND {high}")
        }
        Test::Like {
            pattern,
            ignore_case,
        } => like(&name, pattern, *ignore_case, params),
        Test::Contains(part) => format!("strpos({name}, {}) > 0", params.add(Param::text(part))),
        Test::StartsWith(part) => format!("{name} ^@ {}", params.add(Param::text(part))),
        Test::EndsWith(part) => {
            let part = params.add(Param::text(part));
            format!("right({name}, char_length({part})) = {part}")
        }
        Test::HasItem(item) => has_item(&name, leaf.field, (schema, item), params),
        Test::IsNull => format!("{name} IS NULL"),
    }
}

/// With the collation `C` that every text has, `lower` touches A-Z alone, as the domain says.
fn like(name: &str, pattern: &str, ignore_case: bool, params: &mut Params) -> String {
    let mut pattern = pattern.to_owned();
    let escapes = pattern.chars().rev().take_while(|c| *c == '\\').count();
    if escapes % 2 == 1 {
        // An escape with nothing behind it means itself; PostgreSQL would refuse it.
        pattern.push('\\');
    }
    if ignore_case {
        pattern.make_ascii_lowercase();
    }
    let pattern = params.add(Param::text(&pattern));
    if ignore_case {
        format!("lower({name} COLLATE \"C\") LIKE {pattern}")
    } else {
        format!("{name} LIKE {pattern}")
    }
}

fn has_item(
    name: &str,
    field: Field,
    (schema, item): (&SchemaSnapshot, &Value),
    params: &mut Params,
) -> String {
    let kind = match field.property_type(schema) {
        PropertyType::Array(items) => items,
        other => other,
    };
    format!("{} = ANY({name})", params.add(Param::value(item, kind)))
}
