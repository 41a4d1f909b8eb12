//! What must be stored after a fault, by what clients were told, and whether it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::load::{Deed, Fate, Sent};
use crate::program::Running;
use crate::wire::ask;

/// How many records each lot has.
type Lots = BTreeMap<u64, u64>;

/// The most groups that one answer has.
const GROUPS_MAX: usize = 10_000;

/// What one item must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) amount: u64,
    pub(crate) version: u64,
}

/// All that was done, by rounds.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) entries: BTreeMap<u64, Lots>,
    pub(crate) marks: BTreeMap<u64, Lots>,
    pub(crate) items: BTreeMap<String, Item>,
    pub(crate) gone: BTreeSet<String>,
}

impl Ledger {
    /// Takes down what one client has sent, in its order. Nothing of it is unknown any more.
    pub(crate) fn note(&mut self, written: &[Sent]) {
        for sent in written {
            match sent.fate() {
                Fate::Done => self.take(sent),
                Fate::Refused => {}
                Fate::Unknown => panic!("nobody knows of {:?}", sent.deed),
            }
        }
    }

    fn take(&mut self, sent: &Sent) {
        let entries = self.entries.entry(sent.round).or_default();
        match &sent.deed {
            Deed::Enter { lot, entries: many } => {
                entries.insert(*lot, *many);
            }
            Deed::Add { amount } => {
                let (amount, version) = (*amount, 1);
                self.items.insert(sent.id(), Item { amount, version });
            }
            Deed::Change { id, amount } => self.change(id, *amount),
            Deed::Remove { id } => {
                self.items.remove(id);
                self.gone.insert(id.clone());
            }
            Deed::Transact { lot, id, amount } => {
                entries.insert(*lot, 1);
                let marks = self.marks.entry(sent.round).or_default();
                marks.insert(*lot, 1);
                self.change(id, *amount);
            }
        }
    }

    fn change(&mut self, id: &str, amount: u64) {
        let item = self.items.get_mut(id).expect("an item that was added");
        item.amount = amount;
        item.version += 1;
    }

    /// Looks at every record of a round, and at every item, without the help of an index: none is
    /// lost, none is there twice, no bulk and no transaction is there by half.
    pub(crate) fn check(&self, server: &Running, round: u64, place: &str) {
        let expected = |of: &BTreeMap<u64, Lots>| of.get(&round).cloned().unwrap_or_default();
        let found = lots(server, "entries", round);
        let numbers = found.values().all(|found| found.records == found.numbers);
        assert!(numbers, "{place}: an entry is there twice");
        let found: Lots = found
            .into_iter()
            .map(|(lot, it)| (lot, it.records))
            .collect();
        assert_same(
            &found,
            &expected(&self.entries),
            &format!("{place}: entries"),
        );
        let found = lots(server, "marks", round).into_iter();
        let found: Lots = found.map(|(lot, it)| (lot, it.records)).collect();
        assert_same(&found, &expected(&self.marks), &format!("{place}: marks"));
        let found: BTreeMap<String, Item> = items(server, "")
            .into_iter()
            .map(|(id, found)| (id, found.item))
            .collect();
        assert_same(&found, &self.items, &format!("{place}: items"));
    }
}

/// Fails with the differences alone: there may be many that are alike.
#[track_caller]
fn assert_same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
    place: &str,
) {
    let keys: BTreeSet<&K> = found.keys().chain(expected.keys()).collect();
    let differences: Vec<_> = keys
        .into_iter()
        .map(|key| (key, found.get(key), expected.get(key)))
        .filter(|(_, found, expected)| found != expected)
        .collect();
    assert!(
        differences.is_empty(),
        "{place}: found and expected: {differences:?}"
    );
}

/// How many records of a lot there are, and how many different ones.
#[derive(Debug)]
struct Found {
    records: u64,
    numbers: u64,
}

/// The lots of a round. The round has no index, so every record is looked at.
fn lots(server: &Running, schema: &str, round: u64) -> BTreeMap<u64, Found> {
    let distinct = if schema == "entries" { "number" } else { "id" };
    let question = format!(
        r#"{{"group_by": ["lot"], "limit": {GROUPS_MAX},
            "metrics": [{{"op": "count", "as": "records"}},
                        {{"op": "count_distinct", "field": "{distinct}", "as": "numbers"}}],
            "filters": [{{"field": "round", "operator": "eq", "value": {round}}}]}}"#
    );
    let path = format!("/api/v1/records/{schema}/aggregate");
    let answer = ask(&server.main, ("POST", &path), None, &question).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    let groups = answer["data"]["items"].as_array().unwrap();
    assert!(groups.len() < GROUPS_MAX, "a round has too many lots");
    let lot = |group: &Json| {
        let number = |name: &str| group[name].as_u64().unwrap();
        let (records, numbers) = (number("records"), number("numbers"));
        (number("lot"), Found { records, numbers })
    };
    groups.iter().map(lot).collect()
}

/// An item as it is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) item: Item,
    pub(crate) owner: u64,
}

/// The items that a question finds, by their ids.
pub(crate) fn items(server: &Running, question: &str) -> BTreeMap<String, Stored> {
    let path = format!("/api/v1/records/items/stream?{question}");
    let (status, body) = server.get(&path);
    assert_eq!(status, 200, "{body}");
    let stored = |line: &str| {
        let record: Json = serde_json::from_str(line).unwrap();
        let number = |value: &Json| value.as_u64().unwrap();
        let item = Item {
            amount: number(&record["data"]["amount"]),
            version: number(&record["version"]),
        };
        let owner = number(&record["data"]["owner"]);
        (
            record["id"].as_str().unwrap().to_owned(),
            Stored { item, owner },
        )
    };
    let found: Vec<_> = body.lines().map(stored).collect();
    let ids: BTreeMap<String, Stored> = found.iter().cloned().collect();
    assert_eq!(ids.len(), found.len(), "{question}: an id is there twice");
    ids
}
