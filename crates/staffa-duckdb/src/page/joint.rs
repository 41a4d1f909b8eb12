//! Joint looks: pages of one order that wait at the same moment are found by one look at its
//! columns. Each waits with a job of its own in the queue of questions; the first job that gets
//! a thread takes all that wait, and those of the others find nothing to do.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use arrow_array::RecordBatch;
use duckdb::Connection;
use parking_lot::Mutex;
use staffa_domain::{Field, PropertyType, RecordQuery, Sort, Value};
use tokio::sync::oneshot;

use super::ahead::{self, question};
use super::among::{Condition, Ranges, has_ranges};
use super::fence::{Fence, Ladder};
use super::{goes_by_id, most, place};
use crate::error::Fault;
use crate::sql::{names, select};
use crate::types::value_at;

/// How many pages one look finds at most.
pub(super) const CALLS_MAX: usize = 32;
/// How many records one look finds at most: of more it is not known which are missing.
const RECORDS_MAX: usize = 1 << 16;

/// The records of a page, or none where it was not found and is to be asked for alone.
pub(crate) type Found = Result<Option<Vec<RecordBatch>>, Fault>;

/// A page that may be found together with others.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) query: RecordQuery,
    /// How many records are found, those included that are kept for pages which follow.
    pub(super) limit: usize,
    /// What makes its order the same as that of another.
    question: String,
    fence: Arc<Fence>,
    /// The value of the first key where the page starts, and one at or before which it ends.
    from: Value,
    to: Value,
    /// Taken by who answers.
    answer: Mutex<Option<oneshot::Sender<Found>>>,
}

impl Call {
    /// A page that lies between fences, and where its answer comes; none where one look could
    /// not find it.
    pub(super) fn new(
        query: &RecordQuery,
        look: &RecordQuery,
        fence: Arc<Fence>,
    ) -> Option<(Self, oneshot::Receiver<Found>)> {
        let from = start(query)?.clone();
        let ladder = Ladder::new(fence, *query.total_sort().first()?);
        let to = place::end(look, &ladder)?.clone();
        let (low, high) = match ladder.key.descending {
            true => (&to, &from),
            false => (&from, &to),
        };
        // A value with many records is several fences, and all its records lie within the bounds.
        if ladder.between(low, high) > 2 * place::reach(look, &ladder, 0) {
            return None;
        }
        let (answer, outcome) = oneshot::channel();
        let call = Self {
            query: query.clone(),
            limit: most(look),
            question: question(query),
            fence: ladder.fence,
            from,
            to,
            answer: Mutex::new(Some(answer)),
        };
        Some((call, outcome))
    }

    /// What names the calls that one look can answer.
    pub(crate) fn question(&self) -> &str {
        &self.question
    }

    /// Whether somebody waits for the answer.
    pub(super) fn is_wanted(&self) -> bool {
        let answer = self.answer.lock();
        answer.as_ref().is_some_and(|answer| !answer.is_closed())
    }

    /// Answers.
    pub(super) fn answer(&self, found: Found) {
        if let Some(answer) = self.answer.lock().take() {
            // Nobody listens where the caller has gone.
            let _ = answer.send(found);
        }
    }
}

/// The value of the first key where a page starts.
fn start(query: &RecordQuery) -> Option<&Value> {
    let value = query.after.as_ref()?.values.first()?;
    (!value.is_null()).then_some(value)
}

/// The field whose fences say whether a page may be found together with others, by its shape: it
/// follows a value in an order whose keys are all of a fixed size, the first of which has ranges.
pub(super) fn field(query: &RecordQuery) -> Option<Field> {
    let keys = query.total_sort();
    let kind = |key: &Sort| key.field.property_type(&query.schema);
    let first = keys.first().filter(|key| key.field != Field::Id)?;
    let is_plain = query.filter.is_none() && query.offset == 0 && goes_by_id(query);
    let is_fixed = |key: &Sort| *kind(key) != PropertyType::String;
    let fits = has_ranges(kind(first)) && keys.iter().all(is_fixed);
    (is_plain && fits && start(query).is_some()).then_some(first.field)
}

/// Where calls wait.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// By question, in the order in which they came. Each is kept by its job, so that one whose job
    /// is never done does not wait for ever.
    waiting: Mutex<HashMap<String, Vec<Weak<Call>>>>,
}

impl Room {
    /// Lets a call wait, if its job could be queued.
    pub(super) fn enter<E>(
        &self,
        call: Call,
        queue: impl FnOnce(Arc<Call>) -> Result<(), E>,
    ) -> Result<(), E> {
        let call = Arc::new(call);
        // The job does not look before the call is there.
        let mut waiting = self.waiting.lock();
        queue(Arc::clone(&call))?;
        let calls = waiting.entry(call.question.clone()).or_default();
        calls.push(Arc::downgrade(&call));
        Ok(())
    }

    /// The calls that have waited longest and still do.
    pub(super) fn take(&self, question: &str) -> Vec<Arc<Call>> {
        let mut waiting = self.waiting.lock();
        let Some(calls) = waiting.get_mut(question) else {
            return Vec::new();
        };
        let count = calls.len().min(CALLS_MAX);
        let taken: Vec<Weak<Call>> = calls.drain(..count).collect();
        if calls.is_empty() {
            waiting.remove(question);
        }
        drop(waiting);
        let taken = taken.iter().filter_map(Weak::upgrade);
        taken.filter(|call| call.is_wanted()).collect()
    }
}

/// What one look found for all calls: ids and keys, in order.
pub(super) struct Look {
    records: RecordBatch,
    /// The keys of the order, and which column has each.
    keys: Vec<(Sort, usize)>,
}

impl Look {
    /// Looks for the pages of some calls; none where it is not worth it, or found too much.
    pub(super) fn at(connection: &Connection, calls: &[Arc<Call>]) -> Result<Option<Self>, Fault> {
        let Some(first) = calls.first() else {
            return Ok(None);
        };
        if calls.len() < 2 || !first.fence.is_joint_worth(calls.len()) {
            return Ok(None);
        }
        let ranges = Ranges::of(calls.iter().map(|call| (&call.from, &call.to)));
        let those = calls.to_vec();
        let is_wanted = move || those.iter().any(|call| call.is_wanted());
        let Some(condition) = ranges.and_then(|ranges| Condition::of(ranges, is_wanted)) else {
            return Ok(None);
        };
        let query = &first.query;
        let (keys, layout) = (query.total_sort(), ahead::layout(query));
        let (Some(key), Some(layout)) = (keys.first(), layout) else {
            return Ok(None);
        };
        let column = names::expression(&query.schema, key.field);
        let began = Instant::now();
        let found = select::keys_where(query, &condition.sql(&column), RECORDS_MAX);
        let found = found.fetch(connection)?;
        first.fence.note_joint(began.elapsed());
        let records = ahead::join(&found, &layout)?;
        let mut others = 1..;
        let column = |key: Sort| match key.field {
            Field::Id => Some((key, 0)),
            _ => Some((key, others.next()?)),
        };
        let keys = keys.into_iter().filter_map(column).collect();
        Ok((records.num_rows() < RECORDS_MAX).then_some(Self { records, keys }))
    }

    /// What follows the position of a call: so many records as its look is for, or all that come
    /// at or before the end of its stretch.
    pub(super) fn of(&self, call: &Call) -> RecordBatch {
        let Some((id, values)) = ahead::position(&call.query) else {
            return self.records.slice(0, 0);
        };
        let mut others = values.into_iter();
        let value = |(key, _): &(Sort, usize)| match key.field {
            Field::Id => Value::Uuid(id),
            _ => others.next().cloned().unwrap_or(Value::Null),
        };
        let position: Vec<Value> = self.keys.iter().map(value).collect();
        let from = self.first_after(&position);
        // What lies beyond the end was found for others, and not all of it.
        let end = self.first_after(std::slice::from_ref(&call.to)).max(from);
        self.records.slice(from, call.limit.min(end - from))
    }

    /// The first record that comes after the values of some keys.
    fn first_after(&self, values: &[Value]) -> usize {
        let (mut from, mut end) = (0, self.records.num_rows());
        while from < end {
            let middle = from.midpoint(end);
            if self.compare(middle, values).is_gt() {
                end = middle;
            } else {
                from = middle + 1;
            }
        }
        from
    }

    /// How a record lies to the values of some keys.
    fn compare(&self, row: usize, values: &[Value]) -> Ordering {
        let pairs = self.keys.iter().zip(values);
        let mut orders = pairs.map(|((key, column), value)| {
            let own = value_at(self.records.column(*column), row);
            key.compare(&own, value)
        });
        orders
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}
