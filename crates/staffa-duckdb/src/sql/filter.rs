//! A filter tree as a SQL condition.

use staffa_domain::query::{Comparison, Condition, Test};
use staffa_domain::{Filter, PropertyType, SchemaSnapshot};

use super::{Sql, names};

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";

/// Adds ` WHERE …` where there is a filter.
pub(crate) fn push_where(sql: &mut Sql, schema: &SchemaSnapshot, filter: Option<&Filter>) {
    if let Some(filter) = filter {
        sql.push(" WHERE ");
        push(sql, schema, filter);
    }
}

/// Adds the condition, in parentheses where it needs them.
pub(crate) fn push(sql: &mut Sql, schema: &SchemaSnapshot, filter: &Filter) {
    match filter {
        Filter::And(parts) => push_list(sql, schema, parts, (" AND ", "TRUE")),
        Filter::Or(parts) => push_list(sql, schema, parts, (" OR ", "FALSE")),
        Filter::Not(part) => {
            sql.push("(NOT ");
            push(sql, schema, part);
            sql.push(")");
        }
        Filter::Condition(condition) => push_condition(sql, schema, condition),
    }
}

fn push_list(
    sql: &mut Sql,
    schema: &SchemaSnapshot,
    parts: &[Filter],
    (between, empty): (&str, &str),
) {
    if parts.is_empty() {
        sql.push(empty);
        return;
    }
    for (index, part) in parts.iter().enumerate() {
        sql.push(if index == 0 { "(" } else { between });
        push(sql, schema, part);
    }
    sql.push(")");
}

fn push_condition(sql: &mut Sql, schema: &SchemaSnapshot, condition: &Condition) {
    let column = names::expression(schema, condition.field);
    let kind = condition.field.property_type(schema);
    match &condition.test {
        Test::Compare(comparison, value) => {
            sql.push(&column)
                .push(operator(*comparison))
                .bind(value, kind);
        }
        Test::In(values) if values.is_empty() => {
            sql.push(&format!(
                "(CASE WHEN {column} IS NULL THEN NULL ELSE FALSE END)"
            ));
        }
        Test::In(values) => {
            sql.push(&column);
            for (index, value) in values.iter().enumerate() {
                sql.push(if index == 0 { " IN (" } else { ", " })
                    .bind(value, kind);
            }
            sql.push(")");
        }
        Test::Between(low, high) => {
            sql.push("(")
                .push(&column)
                .push(" BETWEEN ")
                .bind(low, kind);
            sql.push(" AND ").bind(high, kind).push(")");
        }
        Test::Like {
            pattern,
            ignore_case,
        } => push_like(sql, &column, pattern, *ignore_case),
        Test::Contains(text) => push_call(sql, "contains", &column, text),
        Test::StartsWith(text) => push_call(sql, "starts_with", &column, text),
        Test::EndsWith(text) => push_call(sql, "ends_with", &column, text),
        Test::HasItem(value) => {
            let item = match kind {
                PropertyType::Array(items) => items,
                other => other,
            };
            sql.push(&format!("list_contains({column}, "));
            sql.bind(value, item).push(")");
        }
        Test::IsNull => {
            sql.push(&format!("({column} IS NULL)"));
        }
    }
}

fn push_call(sql: &mut Sql, function: &str, column: &str, text: &str) {
    sql.push(&format!("{function}({column}, "))
        .bind_text(text)
        .push(")");
}

fn push_like(sql: &mut Sql, column: &str, pattern: &str, ignore_case: bool) {
    let mut pattern = pattern.to_owned();
    // The engine refuses a pattern that ends inside an escape; read it as a backslash.
    if pattern.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1 {
        pattern.push('\\');
    }
    if ignore_case {
        pattern.make_ascii_lowercase();
        sql.push(&format!("(translate({column}, '{UPPER}', '{LOWER}')"));
    } else {
        sql.push("(").push(column);
    }
    sql.push(" LIKE ").bind_text(&pattern);
    // Without an escape the engine knows quicker forms of LIKE.
    sql.push(if pattern.contains('\\') {
        " ESCAPE '\\')"
    } else {
        ")"
    });
}

/// The SQL operator of a comparison.
pub(crate) const fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Eq => " = ",
        Comparison::Ne => " <> ",
        Comparison::Gt => " > ",
        Comparison::Gte => " >= ",
        Comparison::Lt => " < ",
        Comparison::Lte => " <= ",
    }
}
