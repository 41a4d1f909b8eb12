//! Whole questions for records.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use staffa_domain::record::system;
use staffa_domain::{
    Field, Filter, PropertyType, RecordId, RecordQuery, SchemaSnapshot, Sort, Value,
};

use super::{Sql, filter, names, sort};

/// Between which values of the first key of its order a page lies, and how many records of
/// these come before it.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// Its records come at or after this value; from the front, or from the query's position, if
    /// absent.
    pub(crate) from: Option<Value>,
    /// They come at or before this value, so that none is null; to the end, if absent.
    pub(crate) to: Option<Value>,
    /// How many to leave out.
    pub(crate) offset: u64,
}

impl Bounds {
    /// Those of a page that may lie anywhere.
    pub(crate) const fn of(query: &RecordQuery) -> Self {
        Self {
            from: None,
            to: None,
            offset: query.offset,
        }
    }
}

/// The statement of a query.
pub(crate) fn records(query: &RecordQuery) -> Sql {
    records_within(query, &Bounds::of(query))
}

/// The engine counts rows in 64 bits with a sign.
const ROWS_MAX: u64 = i64::MAX.unsigned_abs();

/// The statement of a query whose answer lies within bounds; the offset is that of the bounds.
pub(crate) fn records_within(query: &RecordQuery, bounds: &Bounds) -> Sql {
    within(head(&query.schema, &query.selected()), query, bounds)
}

/// The same for the ids and the keys of the order besides, of texts so many characters.
pub(crate) fn keys_within(query: &RecordQuery, bounds: &Bounds, text_max: usize) -> Sql {
    let mut sql = Sql::new("");
    push_keys(&mut sql, query, text_max);
    within(sql, query, bounds)
}

/// The statement for the ids and the keys of the order, none of them a text, of records for which
/// a condition on the keys holds: so many of these at most, in order.
pub(crate) fn keys_where(query: &RecordQuery, condition: &str, rows_max: usize) -> Sql {
    let mut sql = Sql::new("SELECT * FROM (");
    push_keys(&mut sql, query, 0);
    sql.push(&format!(" WHERE {condition} LIMIT {rows_max})"));
    sort::push_order(&mut sql, &query.schema, &query.total_sort());
    sql
}

fn push_keys(sql: &mut Sql, query: &RecordQuery, text_max: usize) {
    sql.push("SELECT id");
    for key in query.total_sort() {
        if key.field != Field::Id {
            sql.push(", ");
            sql.push(&short(&query.schema, key.field, text_max));
        }
    }
    sql.push(" FROM ").push(&names::table(&query.schema));
}

fn within(mut sql: Sql, query: &RecordQuery, bounds: &Bounds) -> Sql {
    let keys = query.total_sort();
    let mut word = " WHERE ";
    if query.filter.is_some() {
        filter::push_where(&mut sql, &query.schema, query.filter.as_ref());
        word = " AND ";
    }
    if let Some(position) = &query.after {
        sql.push(std::mem::replace(&mut word, " AND "));
        sort::push_after(&mut sql, query, position, bounds.to.is_some());
    }
    for (bound, side) in [
        (&bounds.from, sort::Side::From),
        (&bounds.to, sort::Side::To),
    ] {
        if let (Some(bound), Some(key)) = (bound, keys.first()) {
            sql.push(std::mem::replace(&mut word, " AND "));
            sort::push_bound(&mut sql, &query.schema, *key, (side, bound));
        }
    }
    sql.push(word).planned_once();
    if query.is_ordered() {
        sort::push_order(&mut sql, &query.schema, &keys);
    }
    // Constants: the engine plans a top-N only for a limit that it knows.
    if let Some(limit) = query.limit {
        sql.push(&format!(" LIMIT {}", limit.min(ROWS_MAX)));
    }
    if bounds.offset > 0 {
        sql.push(&format!(" OFFSET {}", bounds.offset.min(ROWS_MAX)));
    }
    sql
}

/// The statement that counts the records of an order at or after one value and before another.
pub(crate) fn count_between(
    schema: &SchemaSnapshot,
    key: Sort,
    from: Option<&Value>,
    before: &Value,
) -> Sql {
    let mut sql = count(schema, None);
    sql.push(" WHERE ");
    if let Some(from) = from {
        sort::push_bound(&mut sql, schema, key, (sort::Side::From, from));
        sql.push(" AND ");
    }
    sort::push_bound(&mut sql, schema, key, (sort::Side::Before, before));
    sql
}

/// A field, of texts so many characters.
fn short(schema: &SchemaSnapshot, field: Field, text_max: usize) -> String {
    let column = names::expression(schema, field);
    match field.property_type(schema) {
        PropertyType::String => format!("left({column}, {text_max})"),
        _ => column,
    }
}

/// The statement for some values of a field, sorted: of so many records, taken at random, and of
/// texts so many characters.
pub(crate) fn sample(
    schema: &SchemaSnapshot,
    field: Field,
    records: usize,
    text_max: usize,
) -> Sql {
    let (value, table) = (short(schema, field, text_max), names::table(schema));
    Sql::new(format!(
        "SELECT v FROM (SELECT {value} AS v FROM {table} USING SAMPLE reservoir({records} ROWS)) \
         WHERE v IS NOT NULL ORDER BY v"
    ))
}

/// The statement for whole records by their ids, of which there is at least one.
pub(crate) fn by_ids(schema: &SchemaSnapshot, ids: impl IntoIterator<Item = RecordId>) -> Sql {
    let all: Vec<usize> = (0..schema.schema().properties.len()).collect();
    selected_by_ids(schema, &all, ids)
}

/// The same with some properties. The condition is on the id alone: only then does the engine
/// use the key.
pub(crate) fn selected_by_ids(
    schema: &SchemaSnapshot,
    selected: &[usize],
    ids: impl IntoIterator<Item = RecordId>,
) -> Sql {
    let mut sql = head(schema, selected);
    sql.push(" WHERE id IN ").id_list(ids);
    sql.push(" AND ").planned_once();
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
