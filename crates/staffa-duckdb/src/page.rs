//! Pages: the first records of an order after a position or an offset.
//!
//! The engine keeps no order but that of the file, so a page asked for in so many words looks at
//! every record, and with an offset sorts all of them. Fences, which are values that divide an
//! order into short stretches, say about where a page lies. They are guesses: what a page holds
//! is always the engine's answer, and where a guess turns out wrong the whole is looked at.

mod fence;
mod place;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use duckdb::Connection;
use staffa_domain::batch::record_id;
use staffa_domain::{Field, RecordId, RecordQuery, Value};

use crate::engine::Link;
use crate::error::Fault;
use crate::sql::select::{self, Bounds};
use crate::transaction::Transaction;

pub(crate) use fence::Fences;
use fence::Ladder;

/// Up to how many records are found by the columns of the order alone and then fetched by id.
const IDS_MAX: u64 = 200;

/// The records of a page, in order, from one snapshot.
pub(crate) fn fetch(
    link: &Link,
    fences: &Fences,
    query: &RecordQuery,
) -> Result<Vec<RecordBatch>, Fault> {
    let is_deep = query.offset >= fences.sizes.deep_offset;
    let Some(ladder) = ladder(link, fences, query, is_deep)? else {
        return select::records(query).fetch_within(link, query.bytes_max);
    };
    let mut snapshot = Transaction::begin(link)?;
    snapshot.run(|connection| {
        let bounds = place::find(connection, query, &ladder, is_deep)?;
        if let Some(bounds) = bounds
            && let Some(page) = within(connection, query, &bounds)?
        {
            return Ok(page);
        }
        select::records(query).fetch_within(connection, query.bytes_max)
    })
}

/// The fences of the page's order, where there are any and they help.
fn ladder(
    connection: &Connection,
    fences: &Fences,
    query: &RecordQuery,
    is_deep: bool,
) -> Result<Option<Ladder>, Fault> {
    let Some(key) = query.total_sort().first().copied() else {
        return Ok(None);
    };
    // The file lies about in the order of ids, of which the engine makes use by itself.
    let helps = is_deep || key.field != Field::Id;
    let starts_at_null = match &query.after {
        Some(position) => position.values.first().is_none_or(Value::is_null),
        None => key.nulls_first && key.field.is_nullable(&query.schema),
    };
    let is_plain = query.filter.is_none() && query.is_ordered() && query.limit.is_some();
    if !helps || starts_at_null || !is_plain || (is_deep && query.after.is_some()) {
        return Ok(None);
    }
    let fence = fences.of(connection, &query.schema, key.field)?;
    Ok(fence.map(|fence| Ladder::new(fence, key)))
}

/// The page, if all of it lies within the bounds.
fn within(
    connection: &Connection,
    query: &RecordQuery,
    bounds: &Bounds,
) -> Result<Option<Vec<RecordBatch>>, Fault> {
    let limit = query.limit.unwrap_or(u64::MAX);
    // Without an index on the id the second step would be another scan.
    let by_id = limit <= IDS_MAX && !query.schema.schema().append_only;
    let found = if by_id {
        select::ids_within(query, bounds).fetch(connection)?
    } else {
        select::records_within(query, bounds).fetch_within(connection, query.bytes_max)?
    };
    let count: usize = found.iter().map(RecordBatch::num_rows).sum();
    if bounds.to.is_some() && (count as u64) < limit {
        return Ok(None);
    }
    if !by_id {
        return Ok(Some(found));
    }
    let ids: Vec<RecordId> = found
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).filter_map(|row| record_id(batch, row)))
        .collect();
    records_of(connection, query, &ids).map(Some)
}

/// The records with these ids, in this order.
fn records_of(
    connection: &Connection,
    query: &RecordQuery,
    ids: &[RecordId],
) -> Result<Vec<RecordBatch>, Fault> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found = select::selected_by_ids(&query.schema, &query.selected(), ids.iter().copied());
    let found = found.fetch_within(connection, query.bytes_max)?;
    let Some(first) = found.first() else {
        return Err(Fault::bug("records of a snapshot are gone within it"));
    };
    let all = concat_batches(&first.schema(), &found)?;
    let rows: HashMap<RecordId, u32> = (0..)
        .zip(0..all.num_rows())
        .filter_map(|(number, row)| Some((record_id(&all, row)?, number)))
        .collect();
    let order: Vec<u32> = ids.iter().filter_map(|id| rows.get(id).copied()).collect();
    if order.len() != ids.len() {
        return Err(Fault::bug("records of a snapshot are gone within it"));
    }
    Ok(vec![take_record_batch(&all, &UInt32Array::from(order))?])
}
