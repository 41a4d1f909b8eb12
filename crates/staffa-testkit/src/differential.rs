//! Two engines, the same records, the same random questions: every answer must be the same.

mod figures;
mod unknown;

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use staffa_domain::ports::Storage;
use staffa_domain::{Filter, Position, RecordQuery, SchemaSnapshot, Timestamp, Value};

use crate::builders::{CREATED, stamped};
use crate::conformance::support::{create, insert, scan, sorted};
use crate::record::Record;
use crate::strategies;

pub use figures::check_figures;
use unknown::unknown;

/// How many records of one batch; several batches make one session.
const BATCH_RECORDS: usize = 64;

/// How much a comparison asks, and from which seed.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The same seed makes the same records and the same questions.
    pub seed: u64,
    /// How many records both engines hold.
    pub records: usize,
    /// How many questions are asked.
    pub cases: usize,
}

/// Puts the same random records into two fresh engines and asks both the same random
/// questions: every answer must have the same records in the same order, to the last bit.
///
/// # Panics
/// When an answer differs; the seed, the case and the question are in the message.
pub async fn check(left: &Storage, right: &Storage, schema: &Arc<SchemaSnapshot>, plan: Plan) {
    let mut random = Random::new(plan.seed);
    let rows = strategies::row(schema);
    fill(&[left, right], schema, random.many(&rows, plan.records)).await;
    let (queries, places) = (strategies::query(schema), strategies::place());
    for case in 0..plan.cases {
        let mut query = random.next(&queries);
        let place = format!("{}, seed {}, case {case}", schema.name(), plan.seed);
        compare(left, right, &query, &place).await;
        let whole = scan(left, whole_of(&query)).await;
        if !whole.is_empty() {
            query.after = Some(position(&query, random.next(&places).get(&whole)));
            query.offset = 0;
            compare(left, right, &query, &place).await;
        }
        let counts = [left, right].map(|storage| count(storage, schema, query.filter.clone()));
        let [left, right] = counts;
        assert_eq!(left.await, right.await, "{place}: {:?}", query.filter);
    }
}

/// Checks one engine against itself: each random tree of conditions is true, false or unknown
/// of every record, and pages put together, by position or by number, are the scan.
///
/// # Panics
/// When an answer contradicts another; the seed, the case and the question are in the message.
pub async fn check_alone(storage: &Storage, schema: &Arc<SchemaSnapshot>, plan: Plan) {
    let mut random = Random::new(plan.seed);
    let rows = strategies::row(schema);
    fill(&[storage], schema, random.many(&rows, plan.records)).await;
    let total = count(storage, schema, None).await;
    let (filters, queries) = (strategies::filter(schema), strategies::query(schema));
    for case in 0..plan.cases {
        let place = format!("{}, seed {}, case {case}", schema.name(), plan.seed);
        let filter = random.next(&filters);
        let parts = [
            filter.clone(),
            Filter::Not(Box::new(filter.clone())),
            unknown(&filter),
        ];
        let mut sum = 0;
        for part in parts {
            sum += count(storage, schema, Some(part)).await;
        }
        assert_eq!(sum, total, "{place}: {filter:?}");
        let query = whole_of(&random.next(&queries));
        let size = 7 + case as u64 % 40;
        let whole = scan(storage, query.clone()).await;
        let place = format!("{place}: pages of {size}, {query:?}");
        assert_same(&by_position(storage, &query, size).await, &whole, &place);
        assert_same(&by_number(storage, &query, size).await, &whole, &place);
    }
}

/// Random values from one seed.
#[derive(Debug)]
pub(crate) struct Random(TestRunner);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self(TestRunner::new_with_rng(Config::default(), rng))
    }

    pub(crate) fn next<T: std::fmt::Debug>(&mut self, strategy: &BoxedStrategy<T>) -> T {
        let tree = strategy.new_tree(&mut self.0);
        tree.expect("no strategy here refuses values").current()
    }

    fn many<T: std::fmt::Debug>(&mut self, strategy: &BoxedStrategy<T>, count: usize) -> Vec<T> {
        (0..count).map(|_| self.next(strategy)).collect()
    }
}

/// Makes the schema known and stores the records, each batch a microsecond after the one before.
async fn fill(storages: &[&Storage], schema: &Arc<SchemaSnapshot>, rows: Vec<Vec<Value>>) {
    for storage in storages {
        create(storage, schema).await;
        let batches = (0..).zip(rows.chunks(BATCH_RECORDS));
        let batches = batches.map(|(at, rows)| {
            let created = Timestamp::from_micros(CREATED.as_micros() + at);
            let first = at.unsigned_abs() * BATCH_RECORDS as u64;
            stamped(schema, first, rows, created)
        });
        insert(storage, batches.collect())
            .await
            .expect("new records");
    }
}

async fn compare(left: &Storage, right: &Storage, query: &RecordQuery, place: &str) {
    let expected = scan(left, query.clone()).await;
    let found = scan(right, query.clone()).await;
    assert_same(&found, &expected, &format!("{place}: {query:?}"));
}

#[track_caller]
fn assert_same(found: &[Record], expected: &[Record], place: &str) {
    let ids = |records: &[Record]| records.iter().map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(ids(found), ids(expected), "{place}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.is_identical(expected),
            "{place}\n{found:?}\nis not {expected:?}"
        );
    }
}

/// The query without its cuts, with all that its order needs.
fn whole_of(query: &RecordQuery) -> RecordQuery {
    let mut whole = sorted(&query.schema, query.sort.clone());
    whole.filter.clone_from(&query.filter);
    whole
}

fn position(query: &RecordQuery, record: &Record) -> Position {
    let keys = query.sort.iter();
    Position {
        values: keys.map(|key| record.field(key.field)).collect(),
        id: record.id,
    }
}

async fn count(storage: &Storage, schema: &Arc<SchemaSnapshot>, filter: Option<Filter>) -> u64 {
    let count = storage.reader.count(schema, filter.as_ref(), true).await;
    count.expect("a count").records
}

async fn by_position(storage: &Storage, query: &RecordQuery, size: u64) -> Vec<Record> {
    let mut query = query.clone();
    query.limit = Some(size);
    let mut records: Vec<Record> = Vec::new();
    loop {
        let page = scan(storage, query.clone()).await;
        let Some(last) = page.last() else {
            return records;
        };
        query.after = Some(position(&query, last));
        records.extend(page);
    }
}

async fn by_number(storage: &Storage, query: &RecordQuery, size: u64) -> Vec<Record> {
    let mut query = query.clone();
    query.limit = Some(size);
    let mut records: Vec<Record> = Vec::new();
    loop {
        let page = scan(storage, query.clone()).await;
        if page.is_empty() {
            return records;
        }
        query.offset += size;
        records.extend(page);
    }
}
