//! Whether every declared index agrees with a look at all records: what is asked by an indexed
//! property must find just what it finds there.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::{Ledger, items};
use crate::load::{AMOUNTS, label};
use crate::program::Running;
use crate::wire::ask;

/// How many values of an index are asked for at most.
const VALUES_MAX: usize = 80;

/// Asks every index for values that there are and for some that there aren't. Answers how many
/// questions that were. [`Ledger::check`] has looked at all records before.
pub(crate) fn check_indexes(server: &Running, ledger: &Ledger, place: &str) -> usize {
    check_lots(server, ledger, place)
        + check_labels(server, ledger, place)
        + check_items(server, place)
        + check_ids(server, ledger, place)
}

/// Some of many, spread evenly, the newest among them.
fn some<T>(all: impl DoubleEndedIterator<Item = T> + ExactSizeIterator) -> Vec<T> {
    let step = all.len().div_ceil(VALUES_MAX).max(1);
    all.rev().step_by(step).collect()
}

fn count(server: &Running, question: &str) -> u64 {
    let (status, body) = server.get(&format!("/api/v1/records/{question}"));
    assert_eq!(status, 200, "{question}: {body}");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    answer["count"].as_u64().unwrap()
}

fn check_lots(server: &Running, ledger: &Ledger, place: &str) -> usize {
    let mut asked = 0;
    for (schema, rounds) in [("entries", &ledger.entries), ("marks", &ledger.marks)] {
        let lots: BTreeMap<u64, u64> = rounds.values().flatten().map(|(l, n)| (*l, *n)).collect();
        let absent = (&u64::MAX.div_ceil(4), &0);
        for (lot, expected) in some(lots.iter()).into_iter().chain([absent]) {
            let found = count(server, &format!("{schema}/count?filter[lot]={lot}"));
            assert_eq!(found, *expected, "{place}: {schema} of lot {lot}");
            asked += 1;
        }
    }
    asked
}

/// Each label is found once, and its index refuses another one.
fn check_labels(server: &Running, ledger: &Ledger, place: &str) -> usize {
    let lots: Vec<u64> = ledger
        .marks
        .values()
        .flatten()
        .map(|(lot, _)| *lot)
        .collect();
    let lots = some(lots.into_iter());
    for lot in &lots {
        let text = label(*lot).replace(' ', "%20");
        let found = count(server, &format!("marks/count?filter[label]={text}"));
        assert_eq!(found, 1, "{place}: marks labelled {text}");
    }
    for lot in lots.iter().take(3) {
        let label = label(*lot);
        let body = format!(r#"{{"lot": {lot}, "label": "{label}", "round": 0}}"#);
        let path = ("POST", "/api/v1/records/marks");
        let again = ask(&server.main, path, None, &body).unwrap();
        assert_eq!(again.code(), "unique_violation", "{place}: {label}");
    }
    lots.len()
}

/// Items by each amount and by each owner, against all items.
fn check_items(server: &Running, place: &str) -> usize {
    let all = items(server, "");
    let mut owners: BTreeMap<u64, BTreeSet<&String>> = BTreeMap::new();
    let mut amounts: BTreeMap<u64, BTreeSet<&String>> = BTreeMap::new();
    for (id, stored) in &all {
        owners.entry(stored.owner).or_default().insert(id);
        amounts.entry(stored.item.amount).or_default().insert(id);
    }
    let owners_asked = some(owners.keys().copied().collect::<Vec<_>>().into_iter());
    let questions = owners_asked.into_iter().map(|owner| ("owner", owner));
    let questions: Vec<_> = questions
        .chain((0..=AMOUNTS).map(|amount| ("amount", amount)))
        .collect();
    for (property, value) in &questions {
        let found = items(server, &format!("filter[{property}]={value}"));
        let of = if *property == "owner" {
            &owners
        } else {
            &amounts
        };
        let expected = of.get(value).cloned().unwrap_or_default();
        let found: BTreeSet<&String> = found.keys().collect();
        assert_eq!(found, expected, "{place}: items with {property} {value}");
    }
    questions.len()
}

/// Items by their ids, those that are gone too.
fn check_ids(server: &Running, ledger: &Ledger, place: &str) -> usize {
    let there = some(ledger.items.iter());
    for (id, item) in &there {
        let (status, body) = server.get(&format!("/api/v1/records/items/{id}"));
        assert_eq!(status, 200, "{place}: {id}: {body}");
        let record: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(record["version"], item.version, "{place}: {body}");
    }
    let gone = some(ledger.gone.iter().collect::<Vec<_>>().into_iter());
    for id in &gone {
        let (status, body) = server.get(&format!("/api/v1/records/items/{id}"));
        assert_eq!(status, 404, "{place}: {id}: {body}");
    }
    there.len() + gone.len()
}
