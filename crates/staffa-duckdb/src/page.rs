//! Pages: the first records of an order after a position or an offset.
//!
//! The engine keeps no order but that of the file, so a page asked for in so many words looks at
//! every record, and with an offset sorts all of them. Fences, which are values that divide an
//! order into short stretches, say about where a page lies. They are guesses: what a page holds
//! is always the engine's answer, and where a guess turns out wrong the whole is looked at. And
//! one look serves for the pages that follow, as long as nobody writes.

mod ahead;
mod among;
mod fence;
mod joint;
mod place;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use duckdb::Connection;
use staffa_domain::batch::record_id;
use staffa_domain::{Field, RecordId, RecordQuery, Value};
use tokio::sync::oneshot;

use crate::engine::Link;
use crate::error::Fault;
use crate::sequence::Sequences;
use crate::sql::select::{self, Bounds};
use crate::transaction::Transaction;

use ahead::{Known, ReadAhead};
pub(crate) use among::register;
use fence::{Fences, Ladder};
use joint::{Call, Found, Look, Room};

/// Up to how many records are found by the columns of the order alone and then fetched by id.
const IDS_MAX: u64 = 200;

/// What is known of orders, so that a page costs less than a look at everything.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    fences: Fences,
    ahead: ReadAhead,
    room: Room,
}

impl Pages {
    /// The records of a page, in order, from one snapshot.
    pub(crate) fn fetch(
        &self,
        link: &Link,
        sequences: &Sequences,
        query: &RecordQuery,
    ) -> Result<Vec<RecordBatch>, Fault> {
        let at = || sequences.of_resting(query.schema.name());
        // Without a number nothing can be kept, nor was anything.
        let commit = at().filter(|_| ahead::is_of_use(query));
        let known = commit.map_or(Known::Nothing, |commit| self.ahead.find(query, commit));
        if let Known::Page(ids) = &known
            && let Some(page) = records_of(link, query, ids)?
            // Else the records are of another moment than their order.
            && at() == commit
        {
            return Ok(page);
        }
        let follows = known == Known::Follows;
        let is_deep = query.offset >= self.fences.sizes.deep_offset;
        let ladder = ladder(link, &self.fences, query, is_deep)?;
        let is_looked_for = ladder.is_some()
            || follows
            || (commit.is_some() && self.is_worth_a_look(link, query)?);
        if !is_looked_for {
            return select::records(query).fetch_within(link, query.bytes_max);
        }
        let began = Instant::now();
        let keep = |found: &[RecordBatch], is_end| {
            if let Some(ladder) = ladder.as_ref().filter(|_| !follows) {
                ladder.fence.note_alone(began.elapsed());
            }
            if let Some(commit) = commit
                && at() == Some(commit)
            {
                self.ahead.keep(query, commit, found, is_end);
            }
        };
        let look = match follows {
            true => &self.ahead.widened(query),
            false => query,
        };
        let mut snapshot = Transaction::begin(link)?;
        snapshot.run(|connection| {
            let guess = match &ladder {
                Some(ladder) => place::find(connection, look, ladder, is_deep)?,
                None => None,
            };
            if let Some(bounds) = guess
                && let Some(page) = within(connection, (query, look), &bounds, keep)?
            {
                return Ok(page);
            }
            if commit.is_some()
                && let Some(page) = within(connection, (query, look), &Bounds::of(query), keep)?
            {
                return Ok(page);
            }
            select::records(query).fetch_within(connection, query.bytes_max)
        })
    }

    /// A page as one that waits for a look together with others, and where its answer comes; none
    /// where that is not worth it, or it is known without a look.
    pub(crate) fn call(
        &self,
        sequences: &Sequences,
        query: &RecordQuery,
    ) -> Option<(Call, oneshot::Receiver<Found>)> {
        let fence = self.fences.made(&query.schema, joint::field(query)?)?;
        if !fence.is_joint_worth(joint::CALLS_MAX) {
            return None;
        }
        let commit = sequences.of_resting(query.schema.name());
        match commit.map_or(Known::Nothing, |commit| self.ahead.find(query, commit)) {
            Known::Page(_) => None,
            Known::Follows => Call::new(query, &self.ahead.widened(query), fence),
            Known::Nothing => Call::new(query, query, fence),
        }
    }

    /// Lets a page wait, if the job that answers what waits could be queued.
    pub(crate) fn wait<E>(
        &self,
        call: Call,
        queue: impl FnOnce(Arc<Call>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.room.enter(call, queue)
    }

    /// Finds the pages that wait with a question, and answers each.
    pub(crate) fn answer(&self, link: &Link, sequences: &Sequences, question: &str) {
        let calls = self.room.take(question);
        if let Err(fault) = self.find(link, sequences, &calls) {
            for call in calls {
                call.answer(Err(fault.clone()));
            }
            return;
        }
        for call in calls {
            // What has its answer takes no other.
            call.answer(Ok(None));
        }
    }

    /// Answers each call whose page one look finds; a fault is the look's.
    fn find(&self, link: &Link, sequences: &Sequences, calls: &[Arc<Call>]) -> Result<(), Fault> {
        let Some(first) = calls.first() else {
            return Ok(());
        };
        let at = || sequences.of_resting(first.query.schema.name());
        let commit = at();
        let mut snapshot = Transaction::begin(link)?;
        let Some(look) = snapshot.run(|connection| Look::at(connection, calls))? else {
            return Ok(());
        };
        let is_of_now = commit.is_some() && at() == commit;
        for call in calls {
            let found = look.of(call);
            let query = &call.query;
            if !call.is_wanted() || found.num_rows() < most(query) {
                continue;
            }
            let ids: Vec<RecordId> = ahead::ids(&found).take(most(query)).collect();
            let page = snapshot.run(|connection| page_of(connection, query, &ids));
            if page.is_err() {
                // That page's alone, but the snapshot is over.
                call.answer(page.map(Some));
                break;
            }
            if let Some(commit) = commit.filter(|_| is_of_now) {
                self.ahead.keep(query, commit, &[found], false);
            }
            call.answer(page.map(Some));
        }
        Ok(())
    }

    /// Whether a page that no fences lead to, for its filter or for the nulls where it starts,
    /// is looked for by its keys. Somebody who has come to a second page may want a third.
    fn is_worth_a_look(&self, link: &Link, query: &RecordQuery) -> Result<bool, Fault> {
        let Some(position) = &query.after else {
            return Ok(false);
        };
        let starts_at_null = position.values.first().is_none_or(Value::is_null);
        Ok((query.filter.is_some() || starts_at_null)
            && fence::records(link, &query.schema)? >= self.fences.sizes.records_min)
    }
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

/// Whether a page is found by its keys alone and then fetched by id. Without an index on the id
/// the second step would be another scan.
fn goes_by_id(query: &RecordQuery) -> bool {
    query.limit.is_some_and(|limit| limit <= IDS_MAX) && !query.schema.schema().append_only
}

/// The page, if all of it lies within the bounds. What a look that goes further found is for
/// others to keep, with whether nothing follows.
fn within(
    connection: &Connection,
    (query, look): (&RecordQuery, &RecordQuery),
    bounds: &Bounds,
    keep: impl FnOnce(&[RecordBatch], bool),
) -> Result<Option<Vec<RecordBatch>>, Fault> {
    if !goes_by_id(query) {
        let page =
            select::records_within(query, bounds).fetch_within(connection, query.bytes_max)?;
        let count: usize = page.iter().map(RecordBatch::num_rows).sum();
        let is_whole = bounds.to.is_none() || count >= most(query);
        return Ok(is_whole.then_some(page));
    }
    let found = select::keys_within(look, bounds, ahead::TEXT_MAX + 1).fetch(connection)?;
    let mut ids: Vec<RecordId> = found.iter().flat_map(ahead::ids).collect();
    if bounds.to.is_some() && ids.len() < most(query) {
        return Ok(None);
    }
    keep(&found, bounds.to.is_none() && ids.len() < most(look));
    ids.truncate(most(query));
    page_of(connection, query, &ids).map(Some)
}

/// The records of a page whose ids are of the same snapshot.
fn page_of(
    connection: &Connection,
    query: &RecordQuery,
    ids: &[RecordId],
) -> Result<Vec<RecordBatch>, Fault> {
    let page = records_of(connection, query, ids)?;
    page.ok_or_else(|| Fault::bug("records of a snapshot are gone within it"))
}

/// How many records a page has at most.
fn most(query: &RecordQuery) -> usize {
    let most = query.limit.and_then(|limit| usize::try_from(limit).ok());
    most.unwrap_or(usize::MAX)
}

/// The records with these ids, in this order, if all of them are there.
fn records_of(
    connection: &Connection,
    query: &RecordQuery,
    ids: &[RecordId],
) -> Result<Option<Vec<RecordBatch>>, Fault> {
    if ids.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let found = select::selected_by_ids(&query.schema, &query.selected(), ids.iter().copied());
    let found = found.fetch_within(connection, query.bytes_max)?;
    let Some(first) = found.first() else {
        return Ok(None);
    };
    let all = concat_batches(&first.schema(), &found)?;
    let rows: HashMap<RecordId, u32> = (0..)
        .zip(0..all.num_rows())
        .filter_map(|(number, row)| Some((record_id(&all, row)?, number)))
        .collect();
    let order: Vec<u32> = ids.iter().filter_map(|id| rows.get(id).copied()).collect();
    if order.len() != ids.len() {
        return Ok(None);
    }
    let page = take_record_batch(&all, &UInt32Array::from(order))?;
    Ok(Some(vec![page]))
}
