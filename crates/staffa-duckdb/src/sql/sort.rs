//! Orders, and the condition that starts a page after a position of an order.

use staffa_domain::{Field, Position, RecordQuery, SchemaSnapshot, Sort, Value};

use super::{Sql, names};

/// Adds ` ORDER BY …`.
pub(crate) fn push_order(sql: &mut Sql, schema: &SchemaSnapshot, keys: &[Sort]) {
    for (index, key) in keys.iter().enumerate() {
        sql.push(if index == 0 { " ORDER BY " } else { ", " });
        sql.push(&names::expression(schema, key.field));
        sql.push(if key.descending { " DESC" } else { " ASC" });
        sql.push(if key.nulls_first {
            " NULLS FIRST"
        } else {
            " NULLS LAST"
        });
    }
}

/// One key of an order with the value where the page starts.
struct Key<'a> {
    sort: Sort,
    column: String,
    value: &'a Value,
    is_nullable: bool,
    schema: &'a SchemaSnapshot,
}

/// On which side of a value records lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// At it or after it.
    From,
    /// At it or before it.
    To,
    /// Before it.
    Before,
}

/// Adds the condition that a key of an order lies on one side of a value. A null does not.
pub(crate) fn push_bound(
    sql: &mut Sql,
    schema: &SchemaSnapshot,
    key: Sort,
    (side, value): (Side, &Value),
) {
    let operator = match (side, key.descending) {
        (Side::From, false) | (Side::To, true) => " >= ",
        (Side::To, false) | (Side::From, true) => " <= ",
        (Side::Before, false) => " < ",
        (Side::Before, true) => " > ",
    };
    sql.push(&names::expression(schema, key.field))
        .push(operator)
        .bind(value, key.field.property_type(schema));
}

/// Adds the condition that a record comes after a position.
///
/// Where the first key is known to be no null, the condition is not weakened by nulls.
///
/// For keys a, b: `a >= x AND (a > x OR (b > y))`. The first part lets the engine skip row
/// groups by their zone maps, which the row form `(a, b) > (x, y)` does not.
pub(crate) fn push_after(
    sql: &mut Sql,
    query: &RecordQuery,
    position: &Position,
    first_is_value: bool,
) {
    let id = Value::Uuid(position.id);
    let null = Value::Null;
    let keys: Vec<Key<'_>> = query
        .total_sort()
        .into_iter()
        .enumerate()
        .map(|(place, sort)| Key {
            sort,
            is_nullable: sort.field.is_nullable(&query.schema) && !(place == 0 && first_is_value),
            column: names::expression(&query.schema, sort.field),
            value: match query.sort.iter().position(|key| key.field == sort.field) {
                _ if sort.field == Field::Id => &id,
                Some(index) => position.values.get(index).unwrap_or(&null),
                None => &null,
            },
            schema: &query.schema,
        })
        .collect();
    push_keys(sql, &keys);
}

fn push_keys(sql: &mut Sql, keys: &[Key<'_>]) {
    let Some((first, rest)) = keys.split_first() else {
        sql.push("FALSE");
        return;
    };
    if rest.is_empty() {
        first.push_beyond(sql);
        return;
    }
    sql.push("(");
    first.push_at_or_beyond(sql);
    sql.push(" AND (");
    first.push_beyond(sql);
    sql.push(" OR ");
    push_keys(sql, rest);
    sql.push("))");
}

impl Key<'_> {
    fn nulls_follow(&self) -> bool {
        !self.sort.nulls_first && self.is_nullable
    }

    fn push_beyond(&self, sql: &mut Sql) {
        if self.value.is_null() {
            sql.push(&if self.sort.nulls_first {
                format!("({} IS NOT NULL)", self.column)
            } else {
                "FALSE".to_owned()
            });
        } else {
            self.push_compare(sql, if self.sort.descending { " < " } else { " > " });
        }
    }

    fn push_at_or_beyond(&self, sql: &mut Sql) {
        if self.value.is_null() {
            sql.push(&if self.sort.nulls_first {
                "TRUE".to_owned()
            } else {
                format!("({} IS NULL)", self.column)
            });
        } else {
            self.push_compare(sql, if self.sort.descending { " <= " } else { " >= " });
        }
    }

    fn push_compare(&self, sql: &mut Sql, operator: &str) {
        let kind = self.sort.field.property_type(self.schema);
        sql.push("(")
            .push(&self.column)
            .push(operator)
            .bind(self.value, kind);
        if self.nulls_follow() {
            sql.push(&format!(" OR {} IS NULL", self.column));
        }
        sql.push(")");
    }
}
