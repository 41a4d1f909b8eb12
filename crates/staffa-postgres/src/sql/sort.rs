//! Orders, and the place in an order where a page starts.

use staffa_domain::query::Position;
use staffa_domain::{Field, RecordQuery, SchemaSnapshot, Sort, Value};

use crate::copy::Param;
use crate::sql::{Params, names};

/// The ORDER BY clause of a total order.
pub(super) fn order_by(schema: &SchemaSnapshot, keys: &[Sort]) -> String {
    let keys: Vec<String> = keys
        .iter()
        .map(|key| {
            let name = names::field(schema, key.field);
            ordered(&name, key, key.field.is_nullable(schema))
        })
        .collect();
    format!(" ORDER BY {}", keys.join(", "))
}

/// One expression of an ORDER BY clause.
pub(super) fn ordered(name: &str, key: &Sort, is_nullable: bool) -> String {
    let direction = if key.descending { " DESC" } else { "" };
    // Where nulls are stands only where there can be some: an index backwards has them
    // first, and serves `DESC` alone.
    let nulls = match (is_nullable, key.nulls_first) {
        (false, _) => "",
        (true, true) => " NULLS FIRST",
        (true, false) => " NULLS LAST",
    };
    format!("{name}{direction}{nulls}")
}

/// The condition that a record lies after a position of the query's order.
pub(super) fn after(query: &RecordQuery, position: &Position, params: &mut Params) -> String {
    let keys = query.total_sort();
    let nullable = |key: &Sort| key.field.is_nullable(&query.schema);
    past(query, position, (&keys, nullable), params)
}

/// The condition that a record lies after a position by some keys of the query's order.
pub(super) fn past(
    query: &RecordQuery,
    position: &Position,
    (keys, is_nullable): (&[Sort], impl Fn(&Sort) -> bool),
    params: &mut Params,
) -> String {
    let keys: Vec<Key> = keys
        .iter()
        .map(|sort| {
            let value = key_value(query, sort, position);
            Key::new(query, (*sort, is_nullable(sort)), &value, params)
        })
        .collect();
    let mut condition = String::new();
    for key in keys.iter().rev() {
        condition = if condition.is_empty() {
            key.past()
        } else {
            format!("({} OR ({} AND {condition}))", key.past(), key.same())
        };
    }
    match keys.first() {
        // A plain range on the first key, which an index can serve, beside the exact tree.
        Some(first) if keys.len() > 1 => format!("({} AND {condition})", first.not_before()),
        _ => condition,
    }
}

fn key_value(query: &RecordQuery, key: &Sort, position: &Position) -> Value {
    if key.field == Field::Id {
        return Value::Uuid(position.id);
    }
    let place = query.sort.iter().position(|sort| sort.field == key.field);
    let value = place.and_then(|place| position.values.get(place));
    value.cloned().unwrap_or(Value::Null)
}

struct Key {
    sort: Sort,
    name: String,
    nullable: bool,
    /// The placeholder of the position's value; none for null.
    value: Option<String>,
}

impl Key {
    fn new(
        query: &RecordQuery,
        (sort, nullable): (Sort, bool),
        value: &Value,
        params: &mut Params,
    ) -> Self {
        let kind = sort.field.property_type(&query.schema);
        Self {
            name: names::field(&query.schema, sort.field),
            nullable,
            value: (!value.is_null()).then(|| params.add(Param::value(value, kind))),
            sort,
        }
    }

    /// Lies after the position by this key alone.
    fn past(&self) -> String {
        self.compare(if self.sort.descending { "<" } else { ">" }, "IS NOT NULL")
    }

    /// Lies at the position or after it by this key alone.
    fn not_before(&self) -> String {
        match (&self.value, self.sort.nulls_first) {
            (None, true) => "true".to_owned(),
            (None, false) => format!("{} IS NULL", self.name),
            _ => self.compare(if self.sort.descending { "<=" } else { ">=" }, ""),
        }
    }

    fn compare(&self, sign: &str, after_null: &str) -> String {
        let name = &self.name;
        match &self.value {
            Some(value) if self.nullable && !self.sort.nulls_first => {
                format!("({name} {sign} {value} OR {name} IS NULL)")
            }
            Some(value) => format!("{name} {sign} {value}"),
            None if self.sort.nulls_first => format!("{name} {after_null}"),
            None => "false".to_owned(),
        }
    }

    fn same(&self) -> String {
        match &self.value {
            Some(value) => format!("{} = {value}", self.name),
            None => format!("{} IS NULL", self.name),
        }
    }
}
