//! What a question sees while lists are carried out: one moment, and none before one that was
//! seen already. The names in brackets are those of [`super::isolation`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::RecordBatch;

use staffa_domain::ports::Storage;
use staffa_domain::query::{Aggregate, Comparison, Metric, MetricKind, Test};
use staffa_domain::{Filter, Operation, SchemaSnapshot, Value};

use crate::builders::next;
use crate::conformance::aggregates::ask;
use crate::conformance::execute::three_orders;
use crate::conformance::support::{all, execute, field, matching};
use crate::record::records_of;
use crate::{nth_id, row};

const ROUNDS: i64 = 60;

/// Hands a token on, from record to record, in lists of two changes: the holder has the quantity
/// one, the others zero. Round `r` finds and leaves it where it must be.
async fn hand_on(storage: &Storage, schema: &Arc<SchemaSnapshot>) {
    let set = |n: i64, version: &mut i64, quantity: i64| {
        let place = usize::try_from(n).expect("one of three");
        let row = row! { reference: ["a", "b", "c"][place], quantity: quantity };
        *version += 1;
        Operation::Replace {
            batch: next(schema, nth_id(n.unsigned_abs()), *version, row),
            expected: *version - 1,
        }
    };
    let mut versions = [1; 3];
    let [a, b, c] = &mut versions;
    let first = vec![set(0, a, 1), set(1, b, 0), set(2, c, 0)];
    execute(storage, first).await.expect("nobody else writes");
    for round in 0..ROUNDS {
        let (from, to) = (round % 3, (round + 1) % 3);
        let mut change = |n: i64, quantity| {
            let place = usize::try_from(n).expect("one of three");
            set(n, &mut versions[place], quantity)
        };
        let list = vec![change(from, 0), change(to, 1)];
        execute(storage, list).await.expect("nobody else writes");
    }
}

/// Looks again and again until the writer is through. The first looks may be of the time before it
/// began.
async fn while_handed_on(storage: &Storage, look: impl AsyncFn(&Storage, &Arc<SchemaSnapshot>)) {
    let schema = three_orders(storage).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (storage, schema, is_over) =
            (storage.clone(), Arc::clone(&schema), Arc::clone(&is_over));
        tokio::spawn(async move {
            hand_on(&storage, &schema).await;
            is_over.store(true, Ordering::Release);
        })
    };
    // Once more when all is over: a quick writer may be through before the first look.
    let mut was_over = false;
    while !was_over {
        was_over = is_over.load(Ordering::Acquire);
        look(storage, &schema).await;
    }
    writer.await.expect("a writer");
    let versions: i64 = all(storage, &schema)
        .await
        .iter()
        .map(|it| it.version)
        .sum();
    assert_eq!(versions, 3 + 3 + 2 * ROUNDS, "every list was carried out");
}

/// By a filter (PMP), by a count and by a sum (G-single) there is one token, or none before the
/// first list: never two, and never none between the holders.
pub async fn a_question_sees_one_moment(storage: Storage) {
    let has_begun = AtomicBool::new(false);
    while_handed_on(&storage, async |storage, schema| {
        let quantity = field(schema, "quantity");
        let token = Test::Compare(Comparison::Gt, Value::Integer(0));
        let holds = Filter::condition(quantity, token);
        let metric = |kind| Metric {
            name: format!("{kind:?}"),
            kind,
            field: Some(quantity),
        };
        let question = Aggregate {
            schema: Arc::clone(schema),
            filter: None,
            group_by: Vec::new(),
            metrics: vec![metric(MetricKind::Sum), metric(MetricKind::Max)],
            having: Vec::new(),
            sort: Vec::new(),
            limit: 1,
        };
        let figures = ask(storage, &question).await;
        if figures == [[Value::Null, Value::Null]] {
            assert!(!has_begun.load(Ordering::Acquire), "it was there before");
            return;
        }
        has_begun.store(true, Ordering::Release);
        assert_eq!(figures, [[Value::Decimal(1), Value::Integer(1)]]);
        // Also that a count and a page, of two moments, both have one.
        assert_eq!(matching(storage, schema, holds).await.len(), 1);
    })
    .await;
}

/// By whatever question, each record is as new as it was at the one before (OTV).
pub async fn what_was_seen_is_not_unseen(storage: Storage) {
    let seen = parking_lot::Mutex::new([1_i64; 3]);
    while_handed_on(&storage, async |storage, schema| {
        let ids = [0, 1, 2].map(nth_id);
        let found: RecordBatch = storage.reader.get(schema, &ids).await.expect("an answer");
        let by_id = records_of(schema, &found);
        for records in [by_id, all(storage, schema).await] {
            let mut seen = seen.lock();
            for (place, id) in ids.iter().enumerate() {
                let record = records.iter().find(|record| record.id == *id);
                let version = record.expect("each is there").version;
                assert!(version >= seen[place], "{version} after {}", seen[place]);
                seen[place] = version;
            }
        }
    })
    .await;
}
