//! Random sessions: an engine must do with each record what the reference engine does.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use staffa_domain::ports::Storage;
use staffa_domain::{
    OnRefusal, SchemaSnapshot, StampedBatch, Timestamp, Value, WriteMode, WriteOptions,
    WriteReceipt,
};

use crate::builders::{CREATED, Row, parts, stamped, values};
use crate::conformance::modes::KEY;
use crate::conformance::support::{all, assert_identical, create, write};
use crate::differential::Random;
use crate::memory::MemoryEngine;
use crate::schemas::orders;

/// How many sessions a case makes, one upon the other.
const SESSIONS: u64 = 60;
/// Small, so that keys meet and values are taken.
const KEYS: i64 = 8;
const CODES: i64 = 6;
/// How many records a session has at most, and how many a batch.
const RECORDS_MAX: usize = 12;
const BATCH_RECORDS: usize = 5;

/// One record of a session: its key, and what else it gives.
#[derive(Debug, Clone)]
struct Given {
    key: i64,
    rest: Vec<(&'static str, Value)>,
}

impl Given {
    fn row(&self) -> Row {
        let reference = ("reference", Value::String(format!("r{}", self.key)));
        std::iter::once(reference)
            .chain(self.rest.clone())
            .collect()
    }
}

/// Sessions of records with different keys, which take and free each other's codes.
pub async fn records_with_different_keys(storage: Storage) {
    let codes = option::of(0..CODES).prop_map(|code| code.map_or(Value::Null, Value::Integer));
    let rest = (codes, 0..100_i64).prop_flat_map(|(code, quantity)| {
        let all = vec![("code", code), ("quantity", Value::Integer(quantity))];
        subsequence(all, 0..=2)
    });
    let keys: Vec<i64> = (0..KEYS).collect();
    let most = keys.len();
    let keys = subsequence(keys, 0..=most).prop_shuffle();
    let records = (keys, vec(rest, most)).prop_map(|(keys, rests)| {
        let pairs = keys.into_iter().zip(rests);
        pairs.map(|(key, rest)| Given { key, rest }).collect()
    });
    check(&storage, 1, &records.boxed()).await;
}

/// Sessions in which keys come again and again, and each record gives its own properties.
pub async fn records_with_the_same_keys(storage: Storage) {
    let rest = (option::of(0..9_i64), option::of(0..9_i64)).prop_flat_map(|(a, b)| {
        let value = |value: Option<i64>| value.map_or(Value::Null, Value::Integer);
        let customer = a.map_or(Value::Null, |a| Value::String(format!("c{a}")));
        let all = vec![("customer", customer), ("quantity", value(b))];
        subsequence(all, 0..=2)
    });
    let record = (0..KEYS, rest).prop_map(|(key, rest)| Given { key, rest });
    check(&storage, 2, &vec(record, 0..=RECORDS_MAX).boxed()).await;
}

async fn check(storage: &Storage, seed: u64, records: &BoxedStrategy<Vec<Given>>) {
    let (reference, schema) = (MemoryEngine::open(), orders());
    create(storage, &schema).await;
    create(&reference, &schema).await;
    let mut random = Random::new(seed);
    let mut first = 0;
    for session in 0..SESSIONS {
        let records = random.next(records);
        let options = random.next(&options());
        let place = format!("seed {seed}, session {session}: {options:?}, {records:?}");
        let at = Timestamp::from_micros(CREATED.as_micros() + i64::try_from(first).unwrap_or(0));
        let batches = || batches(&schema, &options.mode, (first, at), &records);
        if records.is_empty() {
            continue;
        }
        let expected = write(&reference, options.clone(), batches()).await;
        let found = write(storage, options.clone(), batches()).await;
        let without_commit = |receipt: WriteReceipt| WriteReceipt {
            commit: 0,
            ..receipt
        };
        assert_eq!(
            found.map(without_commit).map_err(|e| e.to_string()),
            expected.map(without_commit).map_err(|e| e.to_string()),
            "{place}"
        );
        assert_identical(
            &all(storage, &schema).await,
            &all(&reference, &schema).await,
        );
        first += records.len() as u64;
    }
}

fn options() -> BoxedStrategy<WriteOptions> {
    let key = || vec![KEY];
    let modes = select(vec![
        WriteMode::Insert,
        WriteMode::Upsert { key: key() },
        WriteMode::Ignore { key: key() },
        WriteMode::Update { key: key() },
        WriteMode::Delete { key: key() },
    ]);
    let policies = select(vec![
        OnRefusal::Skip { told_max: 100 },
        OnRefusal::Skip { told_max: 1 },
        OnRefusal::Undo { told_max: 100 },
    ]);
    (modes, policies, any::<bool>())
        .prop_map(|(mode, on_refusal, tells_ids)| WriteOptions {
            mode,
            on_refusal,
            tells_ids,
            turn_within: None,
        })
        .boxed()
}

fn batches(
    schema: &Arc<SchemaSnapshot>,
    mode: &WriteMode,
    (first, at): (u64, Timestamp),
    records: &[Given],
) -> Vec<StampedBatch> {
    let chunks = (first..)
        .step_by(BATCH_RECORDS)
        .zip(records.chunks(BATCH_RECORDS));
    let batch = |(first, records): (u64, &[Given])| {
        let rows: Vec<Row> = records.iter().map(Given::row).collect();
        if mode.takes_parts() {
            return parts(schema, &[KEY], (first, at), rows);
        }
        let rows: Vec<_> = rows.into_iter().map(|row| values(schema, row)).collect();
        stamped(schema, first, &rows, at)
    };
    chunks.map(batch).collect()
}
