//! What filters and orders mean, said once and slowly: the reference for every engine.

use std::cmp::Ordering;

use staffa_domain::query::{Comparison, Condition, Test};
use staffa_domain::{Field, Filter, Position, RecordQuery, Sort, Value};

use crate::record::Record;

/// Whether a record matches: the tree must be true, not unknown.
pub fn matches(filter: Option<&Filter>, record: &Record) -> bool {
    filter.is_none_or(|filter| truth(filter, record) == Some(true))
}

/// The truth of a tree for a record; `None` is unknown.
pub fn truth(filter: &Filter, record: &Record) -> Option<bool> {
    match filter {
        Filter::And(parts) => {
            let truths: Vec<_> = parts.iter().map(|part| truth(part, record)).collect();
            if truths.contains(&Some(false)) {
                Some(false)
            } else if truths.contains(&None) {
                None
            } else {
                Some(true)
            }
        }
        Filter::Or(parts) => {
            let truths: Vec<_> = parts.iter().map(|part| truth(part, record)).collect();
            if truths.contains(&Some(true)) {
                Some(true)
            } else if truths.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
        Filter::Not(part) => truth(part, record).map(|truth| !truth),
        Filter::Condition(condition) => holds(condition, &record.field(condition.field)),
    }
}

fn holds(condition: &Condition, value: &Value) -> Option<bool> {
    if condition.test == Test::IsNull {
        return Some(value.is_null());
    }
    if value.is_null() {
        return None;
    }
    Some(match &condition.test {
        Test::IsNull => false,
        Test::Compare(comparison, operand) => compares(*comparison, value, operand),
        Test::In(operands) => operands.iter().any(|operand| equal(value, operand)),
        Test::Between(low, high) => {
            compares(Comparison::Gte, value, low) && compares(Comparison::Lte, value, high)
        }
        Test::Like {
            pattern,
            ignore_case,
        } => like(text(value), pattern, *ignore_case),
        Test::Contains(part) => text(value).contains(part.as_str()),
        Test::StartsWith(part) => text(value).starts_with(part.as_str()),
        Test::EndsWith(part) => text(value).ends_with(part.as_str()),
        Test::HasItem(item) => match value {
            Value::Array(items) => items.iter().any(|held| equal(held, item)),
            _ => false,
        },
    })
}

fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        _ => "",
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    left.compare(right) == Some(Ordering::Equal)
}

/// Whether two values of one type compare so; false for types without an order.
pub fn compares(comparison: Comparison, left: &Value, right: &Value) -> bool {
    let Some(order) = left.compare(right) else {
        return false;
    };
    match comparison {
        Comparison::Eq => order.is_eq(),
        Comparison::Ne => order.is_ne(),
        Comparison::Gt => order.is_gt(),
        Comparison::Gte => order.is_ge(),
        Comparison::Lt => order.is_lt(),
        Comparison::Lte => order.is_le(),
    }
}

/// Whether a text matches a pattern of `%`, `_` and `\` escapes, as [`Test::Like`] says.
pub fn like(text: &str, pattern: &str, ignore_case: bool) -> bool {
    let fold = |c: char| {
        if ignore_case {
            c.to_ascii_lowercase()
        } else {
            c
        }
    };
    let text: Vec<char> = text.chars().map(fold).collect();
    let mut steps = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        steps.push(match c {
            '%' => Step::Any,
            '_' => Step::One,
            '\\' => Step::Char(fold(chars.next().unwrap_or('\\'))),
            other => Step::Char(fold(other)),
        });
    }
    // `reached[at]`: the steps so far can end just before the text's character `at`.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for step in &steps {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match step {
                Step::Any => reached[..=at].contains(&true),
                Step::One => at > 0 && reached[at - 1],
                Step::Char(c) => at > 0 && reached[at - 1] && text[at - 1] == *c,
            };
        }
        reached = next;
    }
    reached[text.len()]
}

enum Step {
    Any,
    One,
    Char(char),
}

/// The order of two records under sort keys.
pub fn order(sort: &[Sort], left: &Record, right: &Record) -> Ordering {
    let keys = |record: &Record| -> Vec<Value> {
        sort.iter().map(|key| record.field(key.field)).collect()
    };
    order_keys(sort, &keys(left), &keys(right))
}

/// Whether a record stands after a query's position in its total order; true without one.
pub fn is_after(query: &RecordQuery, record: &Record) -> bool {
    let Some(position) = &query.after else {
        return true;
    };
    let sort = query.total_sort();
    let there: Vec<Value> = sort
        .iter()
        .map(|key| named(query, position, key.field))
        .collect();
    let here: Vec<Value> = sort.iter().map(|key| record.field(key.field)).collect();
    order_keys(&sort, &here, &there).is_gt()
}

fn named(query: &RecordQuery, position: &Position, field: Field) -> Value {
    if field == Field::Id {
        return Value::Uuid(position.id);
    }
    let at = query.sort.iter().position(|key| key.field == field);
    at.and_then(|at| position.values.get(at))
        .cloned()
        .unwrap_or(Value::Null)
}

fn order_keys(sort: &[Sort], left: &[Value], right: &[Value]) -> Ordering {
    for (key, (left, right)) in sort.iter().zip(left.iter().zip(right)) {
        let ordering = order_values(left, right, key.descending, key.nulls_first);
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

/// The order of two values, nulls where they are asked for whatever the direction.
pub fn order_values(left: &Value, right: &Value, descending: bool, nulls_first: bool) -> Ordering {
    let null = if nulls_first {
        Ordering::Less
    } else {
        Ordering::Greater
    };
    match (left.is_null(), right.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => null,
        (false, true) => null.reverse(),
        (false, false) => {
            let ordering = left.compare(right).unwrap_or(Ordering::Equal);
            if descending {
                ordering.reverse()
            } else {
                ordering
            }
        }
    }
}
