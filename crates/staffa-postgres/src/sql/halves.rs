//! A page in the order of an indexed property that may be null. The index has its nulls at one
//! end, and serves only orders that have them there, from a start that is a value; so records with
//! a value and those without are two halves, each in an order of its own.

use std::fmt::Write;

use staffa_domain::{Field, RecordQuery, Sort, Value};

use crate::sql::{Params, Query, filter, names, select, sort};

/// The page as halves, where it comes cheaper so.
pub(crate) fn page(query: &RecordQuery) -> Option<Query> {
    let keys = query.total_sort();
    let first = keys
        .first()
        .copied()
        .filter(|key| is_nullable_and_indexed(query, key))?;
    let start = query.after.as_ref().map(|position| {
        let place = query.sort.iter().position(|sort| sort.field == first.field);
        place
            .and_then(|place| position.values.get(place))
            .is_some_and(|value| *value != Value::Null)
    });
    let fits = first.nulls_first == first.descending;
    // Where the index has the order, and the start says no more than that it is a value or that
    // nulls are all that is left, the plain statement is as good.
    if fits && (start.is_none() || first.nulls_first || start == Some(false)) {
        return None;
    }
    let halves: &[Half] = match (start, first.nulls_first) {
        (None | Some(false), true) => &[Half::Nulls, Half::Values],
        (None | Some(true), false) => &[Half::Values, Half::Nulls],
        (Some(true), true) => &[Half::Values],
        (Some(false), false) => &[Half::Nulls],
    };
    Some(statement(query, &keys, halves))
}

fn is_nullable_and_indexed(query: &RecordQuery, key: &Sort) -> bool {
    let Field::Property(place) = key.field else {
        return false;
    };
    let schema = query.schema.schema();
    let leads = |group: &Vec<usize>| group.first() == Some(&place);
    key.field.is_nullable(&query.schema)
        && (schema.properties[place].indexed || schema.unique_groups().iter().any(leads))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Values,
    Nulls,
}

/// The first half, and of the second only what the first leaves room for.
fn statement(query: &RecordQuery, keys: &[Sort], halves: &[Half]) -> Query {
    let schema = &query.schema;
    let fields = select::fields(&query.selected());
    let mut params = Params::default();
    let outputs = fields.iter().enumerate();
    let mut outputs: Vec<String> = outputs
        .map(|(at, field)| format!("{} AS o{at}", select::output(schema, *field)))
        .collect();
    let sorted = keys.iter().enumerate();
    outputs.extend(sorted.map(|(at, key)| format!("{} AS k{at}", names::field(schema, key.field))));
    let filter = query
        .filter
        .as_ref()
        .map(|it| filter::filter(schema, it, &mut params));
    let many = query
        .limit
        .unwrap_or(0)
        .saturating_add(query.offset)
        .min(i64::MAX.unsigned_abs());
    let mut half = |at: usize, half: Half| {
        let conditions = conditions(query, (keys, half), at == 0, &mut params);
        let room = (at > 0).then(|| format!("(SELECT count(*) FROM h0) < {many}"));
        let conditions: Vec<String> = conditions
            .into_iter()
            .chain(filter.clone())
            .chain(room)
            .collect();
        format!(
            "SELECT {}, {at} AS half FROM {} WHERE ({}){} LIMIT {many}",
            outputs.join(", "),
            names::table(schema),
            conditions.join(") AND ("),
            order_by(query, keys, half),
        )
    };
    let first = half(0, halves[0]);
    let mut sql = format!("WITH h0 AS MATERIALIZED ({first})");
    let wanted: Vec<String> = (0..fields.len()).map(|at| format!("o{at}")).collect();
    // Writing to a string cannot fail.
    let _ = write!(sql, " SELECT {} FROM (SELECT * FROM h0", wanted.join(", "));
    if let Some(second) = halves.get(1) {
        let _ = write!(sql, " UNION ALL ({})", half(1, *second));
    }
    let order: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(at, key)| sort::ordered(&format!("k{at}"), key, key.field.is_nullable(schema)))
        .collect();
    let _ = write!(sql, ") AS halves ORDER BY half, {}", order.join(", "));
    select::push_cut(&mut sql, query);
    Query {
        sql,
        params: params.0,
        layout: select::layout(schema, &fields),
    }
}

/// What the records of a half have in common; the first half may start at a position.
fn conditions(
    query: &RecordQuery,
    (keys, half): (&[Sort], Half),
    is_first: bool,
    params: &mut Params,
) -> Vec<String> {
    let name = names::field(&query.schema, keys[0].field);
    let (test, rest) = match half {
        Half::Values => ("IS NOT NULL", keys),
        Half::Nulls => ("IS NULL", &keys[1..]),
    };
    let is_nullable = |key: &Sort| *key != keys[0] && key.field.is_nullable(&query.schema);
    let start = query.after.as_ref().filter(|_| is_first);
    let start = start.map(|position| sort::past(query, position, (rest, is_nullable), params));
    std::iter::once(format!("{name} {test}"))
        .chain(start)
        .collect()
}

/// Within a half the first key is never null or always.
fn order_by(query: &RecordQuery, keys: &[Sort], half: Half) -> String {
    let first = match half {
        Half::Values => 0,
        Half::Nulls => 1,
    };
    let schema = &query.schema;
    let order = keys.iter().enumerate().skip(first).map(|(at, key)| {
        let name = names::field(schema, key.field);
        sort::ordered(&name, key, at > 0 && key.field.is_nullable(schema))
    });
    format!(" ORDER BY {}", order.collect::<Vec<_>>().join(", "))
}
