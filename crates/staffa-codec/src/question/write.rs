//! A domain filter to its canonical JSON.

use serde_json::{Value as Json, json};

use staffa_domain::query::{Condition, Filter, Test};
use staffa_domain::schema::{PropertyType, SchemaSnapshot};
use staffa_domain::value::Value;

use super::operand::Operator;
use crate::text::format::{value_json, value_text};

/// The canonical form of a filter: equal filters give equal JSON, and reading it gives the
/// same filter back, as far as the limits allow.
pub fn write_filter(schema: &SchemaSnapshot, filter: &Filter) -> Json {
    let all = |parts: &[Filter]| -> Json {
        parts
            .iter()
            .map(|part| write_filter(schema, part))
            .collect()
    };
    match filter {
        Filter::And(parts) => json!({ "and": all(parts) }),
        Filter::Or(parts) => json!({ "or": all(parts) }),
        Filter::Not(part) => json!({ "not": write_filter(schema, part) }),
        Filter::Condition(condition) => write_condition(schema, condition),
    }
}

fn write_condition(schema: &SchemaSnapshot, condition: &Condition) -> Json {
    let kind = condition.field.property_type(schema);
    let list = |values: &[Value]| -> Json { values.iter().map(|v| operand(kind, v)).collect() };
    let (operator, value) = match &condition.test {
        Test::Compare(comparison, value) => (Operator::Compare(*comparison), operand(kind, value)),
        Test::In(values) => (Operator::In { negated: false }, list(values)),
        Test::Between(low, high) => (Operator::Between, list(&[low.clone(), high.clone()])),
        Test::Like {
            pattern,
            ignore_case,
        } => {
            let ignore_case = *ignore_case;
            (Operator::Like { ignore_case }, pattern.as_str().into())
        }
        Test::Contains(text) => (Operator::Contains, text.as_str().into()),
        Test::StartsWith(text) => (Operator::StartsWith, text.as_str().into()),
        Test::EndsWith(text) => (Operator::EndsWith, text.as_str().into()),
        Test::HasItem(value) => {
            let item = match kind {
                PropertyType::Array(items) => items,
                other => other,
            };
            (Operator::Contains, operand(item, value))
        }
        Test::IsNull => {
            let operator = Operator::IsNull { negated: false };
            return json!({
                "field": condition.field.name(schema),
                "operator": operator.word(),
            });
        }
    };
    json!({
        "field": condition.field.name(schema),
        "operator": operator.word(),
        "value": value,
    })
}

/// Doubles go as text: JSON's numbers would leave -0.0 and exactness to each reader.
fn operand(kind: &PropertyType, value: &Value) -> Json {
    match value {
        Value::Number(_) => value_text(kind, value).into(),
        _ => value_json(kind, value),
    }
}
