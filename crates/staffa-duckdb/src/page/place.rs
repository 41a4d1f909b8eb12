//! Where a page lies: between which fences, and how many records to leave out there.

use duckdb::Connection;
use staffa_domain::{RecordQuery, Value};

use super::fence::Ladder;
use crate::error::Fault;
use crate::sql::select::{self, Bounds};
use crate::types::value_at;

/// How many fences more than a page needs, on the average, its stretch has: random values lie
/// unevenly.
const SPARE: usize = 3;
/// How often it is counted again what lies before a place, to come closer to an offset.
const STEPS_MAX: usize = 5;
/// How close is close enough, in fences.
const CLOSE: usize = 48;

/// The bounds between which the page lies; none where nothing is known better than the whole.
pub(super) fn find(
    connection: &Connection,
    query: &RecordQuery,
    ladder: &Ladder,
    is_deep: bool,
) -> Result<Option<Bounds>, Fault> {
    if is_deep {
        return find_offset(connection, query, ladder);
    }
    Ok(end(query, ladder).map(|to| Bounds {
        from: None,
        to: Some(to.clone()),
        offset: query.offset,
    }))
}

/// The value at or before which the page ends, for sure enough; none where it may reach to the
/// end of the order.
pub(super) fn end<'l>(query: &RecordQuery, ladder: &'l Ladder) -> Option<&'l Value> {
    let start = match &query.after {
        None => 0,
        Some(position) => ladder.after(position.values.first().unwrap_or(&Value::Null)),
    };
    ladder.at(start + reach(query, ladder, query.offset))
}

/// How many fences further the end of the page lies, for sure enough.
pub(super) fn reach(query: &RecordQuery, ladder: &Ladder, offset: u64) -> usize {
    let records = offset + query.limit.unwrap_or(0);
    if offset == 0 {
        return ladder.fences_for(records);
    }
    let fences = ladder.fences_of(records);
    fences + spread(fences) + SPARE
}

/// How far a guess over so many fences may be off: three deviations of a binomial.
const fn spread(fences: usize) -> usize {
    3 * fences.isqrt()
}

/// Comes close to an offset by counting what lies before fences.
fn find_offset(
    connection: &Connection,
    query: &RecordQuery,
    ladder: &Ladder,
) -> Result<Option<Bounds>, Fault> {
    // What is known: so many records lie before this place.
    let (mut place, mut before) = (0, 0);
    let mut is_known = false;
    let mut caution = 1;
    for _ in 0..STEPS_MAX {
        let ahead = ladder.fences_of(query.offset - before);
        let careful = ahead.saturating_sub(caution * spread(ahead) + SPARE);
        let next = (place + careful).min(ladder.len().saturating_sub(1));
        if next <= place + CLOSE {
            break;
        }
        let from = is_known.then(|| ladder.at(place)).flatten();
        let Some(to) = ladder.at(next) else {
            break;
        };
        let between = count(connection, query, ladder, (from, to))?;
        if before + between > query.offset {
            // Too far: the records have moved since the fences were made.
            caution *= 3;
            continue;
        }
        (place, before, is_known) = (next, before + between, true);
    }
    if !is_known {
        return Ok(None);
    }
    let offset = query.offset - before;
    let to = ladder.at(place + reach(query, ladder, offset));
    if to.is_none() && ladder.key.field.is_nullable(&query.schema) {
        // The nulls that follow lie beyond any bound.
        return Ok(None);
    }
    Ok(Some(Bounds {
        from: ladder.at(place).cloned(),
        to: to.cloned(),
        offset,
    }))
}

fn count(
    connection: &Connection,
    query: &RecordQuery,
    ladder: &Ladder,
    (from, to): (Option<&Value>, &Value),
) -> Result<u64, Fault> {
    let found = select::count_between(&query.schema, ladder.key, from, to).fetch(connection)?;
    match found.first().map(|batch| value_at(batch.column(0), 0)) {
        Some(Value::Integer(count)) => Ok(u64::try_from(count).unwrap_or(0)),
        _ => Err(Fault::bug("a count without a number")),
    }
}
