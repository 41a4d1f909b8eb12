//! Orders, and the place in an order where a page starts.

use staffa_domain::query::Position;
use staffa_domain::{Field, RecordQuery, SchemaSnapshot, Sort, Value};

use crate::copy::Param;
use crate::sql::{Params, names};

/// The ORDER BY clause of a total order.
pub(super) fn order_by(schema: &SchemaSnapshot, keys: &[Sort]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| order_key(schema, key)).collect();
    format!(" ORDER BY {}", keys.join(", "))
}

fn order_key(schema: &SchemaSnapshot, key: &Sort) -> String {
    let name = names::field(schema, key.field);
    let direction = if key.descending { " DESC" } else { "" };
    // Where nulls are stands only where there can be some: an index backwards has them
    // first, and serves `DESC` alone.
    let nulls = match (key.field.is_nullable(schema), key.nulls_first) {
        (false, _) => "",
        (true, true) => " NULLS FIRST",
        (true, false) => " NULLS LAST",
    };
    format!("{name}{direction}{nulls}")
}

/// The condition that a record lies after a position of the query's order.
pub(super) fn after(query: &RecordQuery, position: &Position, params: &mut Params) -> String {
    let schema = &query.schema;
    let keys: Vec<Key> = query
        .total_sort()
        .into_iter()
        .map(|sort| Key::new(schema, sort, key_value(query, &sort, position), params))
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
    fn new(schema: &SchemaSnapshot, sort: Sort, value: Value, params: &mut Params) -> Self {
        let kind = sort.field.property_type(schema);
        Self {
            name: names::field(schema, sort.field),
            nullable: sort.field.is_nullable(schema),
            value: (!value.is_null()).then(|| params.add(Param::value(&value, kind))),
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
