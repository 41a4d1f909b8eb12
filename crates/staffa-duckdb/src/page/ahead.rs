//! Reading ahead: what a page costs is to look at a whole column, and who has come to a second
//! one mostly comes to more. So the look for a page that follows another finds the ids of many,
//! which are kept for as long as nobody writes to the schema: these pages are records by id.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use parking_lot::Mutex;
use staffa_domain::batch::record_id;
use staffa_domain::{Field, RecordId, RecordQuery, Sort, Value};

use super::goes_by_id;
use crate::types::{conform, value_at};

/// How many records beyond its page the look for one that follows finds. Their ids lie all over the
/// file and make it longer by half, once for some twenty pages.
const RECORDS: u64 = 1_000;
/// How many characters of a text are known at most; of more it is not known which text it is.
pub(super) const TEXT_MAX: usize = 64;
/// How many runs are kept. A page that was looked for alone is one, too.
const RUNS_MAX: usize = 1_024;
/// How many bytes all of them may have. A number takes 24 for each record.
const BYTES_MAX: usize = 16 << 20;

/// Records that follow each other in an order, without their contents.
#[derive(Debug)]
struct Run {
    /// Of which question.
    question: String,
    /// The schema's commit at which they do.
    commit: u64,
    ids: Vec<RecordId>,
    /// A column for each key of the order but the id.
    keys: Vec<ArrayRef>,
    /// Whether no record follows the last.
    is_end: bool,
    bytes: usize,
}

/// What is known of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Its ids.
    Page(Vec<RecordId>),
    /// That it follows one that was looked for.
    Follows,
    /// Nothing.
    Nothing,
}

/// The runs that were asked for last.
#[derive(Debug)]
pub(super) struct ReadAhead {
    records: u64,
    runs: Mutex<VecDeque<Arc<Run>>>,
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self::of(RECORDS)
    }
}

/// Whether a look goes further than the page. In the order of ids, which about is that of the
/// file, the next page is found faster than by ids that lie apart; and who counts pages asks
/// for the next one without a position.
pub(super) fn is_of_use(query: &RecordQuery) -> bool {
    let first = query.total_sort().first().map(|key| key.field);
    goes_by_id(query) && query.is_ordered() && query.offset == 0 && first != Some(Field::Id)
}

/// The keys of an order but the id, which a run's columns have after their ids.
fn keys(query: &RecordQuery) -> impl Iterator<Item = Sort> {
    let keys = query.total_sort().into_iter();
    keys.filter(|key| key.field != Field::Id)
}

impl ReadAhead {
    /// Finds so many records beyond a page.
    pub(super) fn of(records: u64) -> Self {
        Self {
            records,
            runs: Mutex::default(),
        }
    }

    /// The question for a page and what is found beyond it.
    pub(super) fn widened(&self, query: &RecordQuery) -> RecordQuery {
        RecordQuery {
            limit: query.limit.map(|limit| limit + self.records),
            ..query.clone()
        }
    }

    /// What is known of a page at this commit.
    pub(super) fn find(&self, query: &RecordQuery, commit: u64) -> Known {
        let Some((position, values)) = position(query) else {
            return Known::Nothing;
        };
        let limit = query.limit.and_then(|limit| usize::try_from(limit).ok());
        let question = question(query);
        let candidates: Vec<Arc<Run>> = {
            let runs = self.runs.lock();
            let is_candidate = |run: &&Arc<Run>| run.commit == commit && run.question == question;
            runs.iter().filter(is_candidate).map(Arc::clone).collect()
        };
        let mut known = Known::Nothing;
        // From the newest, since who made it is likely to come back.
        for run in candidates.iter().rev() {
            let Some(follow) = run.after(position, &values) else {
                continue;
            };
            let is_whole = limit.is_some_and(|limit| limit <= follow.len()) || run.is_end;
            if is_whole {
                let page = follow.iter().take(limit.unwrap_or(usize::MAX));
                let page = Known::Page(page.copied().collect());
                self.renew(run);
                return page;
            }
            known = Known::Follows;
        }
        known
    }

    /// Keeps what a look at a commit found, from the front of the page on.
    pub(super) fn keep(
        &self,
        query: &RecordQuery,
        commit: u64,
        found: &[RecordBatch],
        is_end: bool,
    ) {
        // What does not have the layout is of a version that has gone.
        let Some(Ok(whole)) = layout(query).map(|layout| join(found, &layout)) else {
            return;
        };
        let (question, ids) = (question(query), ids(&whole).collect::<Vec<_>>());
        let bytes = question.len() + size_of_val(ids.as_slice()) + whole.get_array_memory_size();
        if ids.is_empty() || bytes > BYTES_MAX / 16 {
            return;
        }
        let run = Run {
            question,
            commit,
            ids,
            keys: whole.columns()[1..].to_vec(),
            is_end,
            bytes,
        };
        let mut runs = self.runs.lock();
        // Numbers of commits only rise, so those of the past are never asked for again.
        runs.retain(|kept| kept.commit == commit || kept.question != run.question);
        let mut kept = bytes + runs.iter().map(|run| run.bytes).sum::<usize>();
        while runs.len() >= RUNS_MAX || kept > BYTES_MAX {
            let Some(oldest) = runs.pop_front() else {
                break;
            };
            kept -= oldest.bytes;
        }
        runs.push_back(Arc::new(run));
    }

    /// Makes a run the newest.
    fn renew(&self, run: &Arc<Run>) {
        let mut runs = self.runs.lock();
        if let Some(place) = runs.iter().position(|kept| Arc::ptr_eq(kept, run))
            && let Some(run) = runs.remove(place)
        {
            runs.push_back(run);
        }
    }
}

/// The layout of what a look finds.
pub(super) fn layout(query: &RecordQuery) -> Option<SchemaRef> {
    let columns = [Field::Id]
        .into_iter()
        .chain(keys(query).map(|key| key.field));
    let columns: Vec<usize> = columns.map(|field| field.index()).collect();
    let layout = query.schema.record_layout().project(&columns);
    layout.ok().map(Arc::new)
}

/// What a look found, in buffers of its own: those of the engine are larger than what is in them.
pub(super) fn join(found: &[RecordBatch], layout: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let parts = found.iter().map(|batch| conform(batch, layout));
    let whole = concat_batches(layout, &parts.collect::<Result<Vec<_>, _>>()?)?;
    let rows: UInt64Array = (0..whole.num_rows() as u64).collect();
    take_record_batch(&whole, &rows)
}

/// The ids of what a look found.
pub(super) fn ids(batch: &RecordBatch) -> impl Iterator<Item = RecordId> {
    (0..batch.num_rows()).filter_map(|row| record_id(batch, row))
}

/// What makes two orders the same. A derived `Debug` names every part.
pub(super) fn question(query: &RecordQuery) -> String {
    let (name, version) = (query.schema.name(), query.schema.version());
    format!("{name} {version} {:?} {:?}", query.filter, query.sort)
}

/// The record where a page starts, and the values of the keys but the id there.
pub(super) fn position(query: &RecordQuery) -> Option<(RecordId, Vec<&Value>)> {
    let position = query.after.as_ref()?;
    let value = |key: Sort| {
        let place = query.sort.iter().position(|sort| sort.field == key.field)?;
        position.values.get(place)
    };
    let values = keys(query).map(value).collect::<Option<_>>()?;
    Some((position.id, values))
}

impl Run {
    /// The ids that follow a record with these keys, as far as they are known.
    fn after(&self, id: RecordId, values: &[&Value]) -> Option<&[RecordId]> {
        let place = self.ids.iter().position(|known| *known == id)?;
        let mut columns = self.keys.iter().zip(values);
        // The position may be of another moment, when the record lay elsewhere.
        let is_there = columns.all(|(column, value)| match value {
            Value::Null => column.is_null(place),
            Value::String(text) if text.chars().nth(TEXT_MAX).is_some() => false,
            value => value_at(column, place) == **value,
        });
        is_there.then(|| &self.ids[place + 1..])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{FixedSizeBinaryArray, RecordBatch, StringArray};
    use staffa_domain::query::Test;
    use staffa_domain::{Field, Filter, Position, RecordQuery, Sort, Value};
    use staffa_testkit::nth_id;
    use staffa_testkit::schemas::orders;

    use super::{BYTES_MAX, Known, RUNS_MAX, ReadAhead, layout};

    /// Another question for each number, so long that it says so many values of a filter.
    fn question(number: usize, values: usize) -> RecordQuery {
        let mut query = RecordQuery::all(orders());
        let field = Field::Property(0);
        let value = |at: usize| Value::String(format!("{number} {at}"));
        let values = (0..values).map(value).collect();
        query.filter = Some(Filter::condition(field, Test::In(values)));
        query.sort = vec![Sort {
            field,
            descending: false,
            nulls_first: false,
        }];
        query.limit = Some(1);
        query.after = Some(Position {
            values: vec![Value::String("a".to_owned())],
            id: nth_id(0),
        });
        query
    }

    fn keep(ahead: &ReadAhead, query: &RecordQuery) {
        let ids = (0..2).map(nth_id).map(|id| *id.as_bytes());
        let ids = FixedSizeBinaryArray::try_from_iter(ids).unwrap();
        let keys = StringArray::from(vec!["a", "b"]);
        let layout = layout(query).unwrap();
        let found = RecordBatch::try_new(layout, vec![Arc::new(ids), Arc::new(keys)]);
        ahead.keep(query, 1, &[found.unwrap()], false);
    }

    #[test]
    fn the_oldest_go_first() {
        let ahead = ReadAhead::default();
        for number in 0..RUNS_MAX {
            keep(&ahead, &question(number, 1));
        }
        // It was asked for, so that it is not the oldest any more.
        let page = Known::Page(vec![nth_id(1)]);
        assert_eq!(ahead.find(&question(0, 1), 1), page);
        keep(&ahead, &question(RUNS_MAX, 1));
        assert_eq!(ahead.runs.lock().len(), RUNS_MAX);
        assert_eq!(ahead.find(&question(0, 1), 1), page);
        assert_eq!(ahead.find(&question(1, 1), 1), Known::Nothing);
        assert_eq!(ahead.find(&question(RUNS_MAX, 1), 1), page);
    }

    #[test]
    fn long_questions_count() {
        let ahead = ReadAhead::default();
        for number in 0..64 {
            keep(&ahead, &question(number, 20_000));
        }
        let runs = ahead.runs.lock();
        assert!(runs.len() > 16, "{} runs", runs.len());
        let texts: usize = runs.iter().map(|run| run.question.len()).sum();
        assert!(texts <= BYTES_MAX, "{texts} bytes");
        drop(runs);
        let much = question(64, 100_000);
        keep(&ahead, &much);
        assert_eq!(ahead.find(&much, 1), Known::Nothing, "it is too long");
    }
}
