//! Whole questions for records.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use staffa_domain::record::system;
use staffa_domain::{Field, Filter, RecordId, RecordQuery, SchemaSnapshot};

use super::{Sql, filter, names, sort};

/// The statement of a query.
pub(crate) fn records(query: &RecordQuery) -> Sql {
    let mut sql = head(&query.schema, &query.selected());
    filter::push_where(&mut sql, &query.schema, query.filter.as_ref());
    if let Some(position) = &query.after {
        sql.push(if query.filter.is_some() {
            " AND "
        } else {
            " WHERE "
        });
        sort::push_after(&mut sql, query, position);
    }
    if query.ordered || !query.sort.is_empty() || query.after.is_some() {
        sort::push_order(&mut sql, &query.schema, &query.total_sort());
    }
    // Constants: the engine plans a top-N only for a limit that it knows.
    if let Some(limit) = query.limit {
        sql.push(&format!(" LIMIT {limit}"));
    }
    if query.offset > 0 {
        sql.push(&format!(" OFFSET {}", query.offset));
    }
    sql
}

/// The statement for whole records by their ids, of which there is at least one. The
/// condition is on the id alone: only then does the engine use the key.
pub(crate) fn by_ids(schema: &SchemaSnapshot, ids: impl IntoIterator<Item = RecordId>) -> Sql {
    let all: Vec<usize> = (0..schema.schema().properties.len()).collect();
    let mut sql = head(schema, &all);
    sql.push(" WHERE id IN ").id_list(ids);
    sql
}

/// The statement that counts.
pub(crate) fn count(schema: &SchemaSnapshot, condition: Option<&Filter>) -> Sql {
    let mut sql = Sql::new(format!("SELECT count(*) FROM {}", names::table(schema)));
    filter::push_where(&mut sql, schema, condition);
    sql
}

/// The statement that answers one row if any record matches.
pub(crate) fn exists(schema: &SchemaSnapshot, condition: Option<&Filter>) -> Sql {
    let mut sql = Sql::new(format!("SELECT 1 FROM {}", names::table(schema)));
    filter::push_where(&mut sql, schema, condition);
    sql.push(" LIMIT 1");
    sql
}

/// The layout of an answer with these properties.
pub(crate) fn layout(query: &RecordQuery) -> SchemaRef {
    let whole = query.schema.record_layout();
    let Some(positions) = &query.select else {
        return Arc::clone(whole);
    };
    let indexes: Vec<usize> = (0..system::COUNT)
        .chain(positions.iter().map(|position| system::COUNT + position))
        .collect();
    whole
        .project(&indexes)
        .map_or_else(|_| Arc::clone(whole), Arc::new)
}

fn head(schema: &SchemaSnapshot, properties: &[usize]) -> Sql {
    let system = [
        Field::Id,
        Field::CreatedAt,
        Field::UpdatedAt,
        Field::Version,
    ];
    let properties = properties.iter().map(|position| Field::Property(*position));
    let columns: Vec<String> = system
        .into_iter()
        .chain(properties)
        .map(|field| names::expression(schema, field))
        .collect();
    Sql::new(format!(
        "SELECT {} FROM {}",
        columns.join(", "),
        names::table(schema)
    ))
}
