//! Questions for records and for how many there are.

use std::fmt::Write;
use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, Schema as ArrowSchema, SchemaRef};

use staffa_domain::record::system;
use staffa_domain::{Field, Filter, RecordId, RecordQuery, SchemaSnapshot};

use crate::copy::Param;
use crate::sql::{Params, Query, filter, names, sort};
use crate::types;

/// The fields of an answer: the system fields, then the properties at these positions.
pub(super) fn fields(selected: &[usize]) -> Vec<Field> {
    let mut fields = vec![
        Field::Id,
        Field::CreatedAt,
        Field::UpdatedAt,
        Field::Version,
    ];
    fields.extend(selected.iter().map(|position| Field::Property(*position)));
    fields
}

fn list(schema: &SchemaSnapshot, fields: &[Field]) -> String {
    let names: Vec<String> = fields.iter().map(|field| output(schema, *field)).collect();
    names.join(", ")
}

/// A field as an answer has it.
pub(super) fn output(schema: &SchemaSnapshot, field: Field) -> String {
    let name = names::field(schema, field);
    match field {
        // With its type: a statement that was made for one version of the schema must not
        // answer in the types of the next.
        Field::Property(_) => {
            let kind = types::cast_type(field.property_type(schema));
            format!("{name}::{kind}")
        }
        _ => name,
    }
}

pub(super) fn layout(schema: &SchemaSnapshot, fields: &[Field]) -> SchemaRef {
    let whole = schema.record_layout();
    if fields.len() == whole.fields().len() {
        return Arc::clone(whole);
    }
    let parts = fields
        .iter()
        .map(|field| Arc::clone(&whole.fields()[field.index()]));
    Arc::new(ArrowSchema::new(parts.collect::<Vec<_>>()))
}

/// A statement that answers ids alone.
pub(crate) fn ids(schema: &SchemaSnapshot, sql: String) -> Query {
    Query {
        sql,
        params: Vec::new(),
        layout: layout(schema, &[Field::Id]),
    }
}

/// Whole records by their ids.
pub(crate) fn get<'a>(
    schema: &SchemaSnapshot,
    ids: impl IntoIterator<Item = &'a RecordId>,
) -> Query {
    let all: Vec<usize> = (0..schema.schema().properties.len()).collect();
    let fields = fields(&all);
    let list = list(schema, &fields);
    Query {
        sql: format!(
            "SELECT {list} FROM {} WHERE id = ANY($1)",
            names::table(schema)
        ),
        params: vec![Param::ids(ids)],
        layout: layout(schema, &fields),
    }
}

/// Records in an order, from a position, so many.
pub(crate) fn scan(query: &RecordQuery) -> Query {
    let schema = &query.schema;
    let fields = fields(&query.selected());
    let mut params = Params::default();
    let mut sql = format!(
        "SELECT {} FROM {}",
        list(schema, &fields),
        names::table(schema)
    );
    let filter = query
        .filter
        .as_ref()
        .map(|it| filter::filter(schema, it, &mut params));
    let after = query
        .after
        .as_ref()
        .map(|it| sort::after(query, it, &mut params));
    let conditions: Vec<String> = filter.into_iter().chain(after).collect();
    if !conditions.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(sql, " WHERE ({})", conditions.join(") AND ("));
    }
    if query.ordered || !query.sort.is_empty() || query.after.is_some() || query.offset > 0 {
        sql.push_str(&sort::order_by(schema, &query.total_sort()));
    }
    push_cut(&mut sql, query);
    Query {
        sql,
        params: params.0,
        layout: layout(schema, &fields),
    }
}

/// Cuts an answer to what the query wants of it.
pub(super) fn push_cut(sql: &mut String, query: &RecordQuery) {
    if let Some(limit) = query.limit {
        let _ = write!(sql, " LIMIT {}", limit.min(i64::MAX.unsigned_abs()));
    }
    if query.offset > 0 {
        let _ = write!(sql, " OFFSET {}", query.offset.min(i64::MAX.unsigned_abs()));
    }
}

/// How many records match, exactly.
pub(crate) fn count(schema: &SchemaSnapshot, filter: Option<&Filter>) -> Query {
    let mut params = Params::default();
    let clause = filter::clause(schema, filter, &mut params);
    Query {
        sql: format!("SELECT count(*) FROM {}{clause}", names::table(schema)),
        params: params.0,
        layout: one_field("count", DataType::Int64),
    }
}

/// Whether a record matches.
pub(crate) fn exists(schema: &SchemaSnapshot, filter: Option<&Filter>) -> Query {
    let mut params = Params::default();
    let clause = filter::clause(schema, filter, &mut params);
    let table = names::table(schema);
    Query {
        sql: format!("SELECT count(*) > 0 FROM (SELECT 1 FROM {table}{clause} LIMIT 1) AS found"),
        params: params.0,
        layout: one_field("exists", DataType::Boolean),
    }
}

fn one_field(name: &str, data_type: DataType) -> SchemaRef {
    Arc::new(ArrowSchema::new(vec![ArrowField::new(
        name, data_type, true,
    )]))
}

const _: () = assert!(system::COUNT == 4, "`fields` names each system field");
