//! What clients of the crash tests send: requests with keys, and what each does where it is
//! carried out.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value as Json;
use staffa_testkit::scenario::{Answer, Request};

use crate::program::{TestApp, send};

/// Nothing is unique, so that a record may be there twice. The round has no index.
const ENTRIES: &str = "
name: entries
properties:
  - {name: lot, type: integer, required: true, indexed: true}
  - {name: number, type: integer, required: true}
  - {name: round, type: integer, required: true}
";
const MARKS: &str = "
name: marks
properties:
  - {name: lot, type: integer, required: true, indexed: true}
  - {name: label, type: string, required: true, unique: true}
  - {name: round, type: integer, required: true}
";
const ITEMS: &str = "
name: items
properties:
  - {name: owner, type: integer, required: true, indexed: true}
  - {name: amount, type: integer, required: true, indexed: true}
";

/// Amounts are below this, so that each is that of several items.
pub(crate) const AMOUNTS: u64 = 50;

const JSON: &str = "application/json";
const RECORDS: &str = "/api/v1/records";

/// Numbers for lots, owners and keys: none comes twice.
static NEXT: AtomicU64 = AtomicU64::new(1);

pub(crate) fn next() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn app() -> TestApp {
    TestApp::new()
        .with_schema("entries.yaml", ENTRIES)
        .with_schema("marks.yaml", MARKS)
        .with_schema("items.yaml", ITEMS)
}

/// The value that only the mark of a lot has.
pub(crate) fn label(lot: u64) -> String {
    format!("lot {lot}")
}

/// What a request does, all or nothing.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    /// Adds entries of one lot.
    Enter { lot: u64, entries: u64 },
    /// Adds an item, whose id is in the answer.
    Add { amount: u64 },
    /// Gives an item another amount.
    Change { id: String, amount: u64 },
    /// Removes an item.
    Remove { id: String },
    /// Adds an entry and a mark of a lot, and gives an item another amount.
    Transact { lot: u64, id: String, amount: u64 },
}

/// What is known of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its answer says that it was carried out.
    Done,
    /// Its answer says that it was not, and that this is no fault of it.
    Refused,
    /// There is no answer, or one that does not know.
    Unknown,
}

/// A request with a key, and its last answer.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) deed: Deed,
    pub(crate) round: u64,
    pub(crate) answer: Option<Answer>,
    request: Request,
}

impl Sent {
    /// Entries of a lot: one by itself, several as a bulk that tells their ids, very many as one
    /// that tells nothing.
    pub(crate) fn enter(round: u64, entries: u64) -> Self {
        let lot = next();
        let deed = Deed::Enter { lot, entries };
        let entry = |number: u64| format!(r#"{{"lot":{lot},"number":{number},"round":{round}}}"#);
        if entries == 1 {
            return Self::new(deed, round, ("POST", "entries"), (JSON, entry(0)));
        }
        let body = (0..entries).fold(String::new(), |mut body, number| {
            let _ = writeln!(body, "{}", entry(number));
            body
        });
        let target = if entries > 10_000 {
            "entries/bulk?return=none"
        } else {
            "entries/bulk?return=ids"
        };
        Self::new(
            deed,
            round,
            ("POST", target),
            ("application/x-ndjson", body),
        )
    }

    pub(crate) fn add(round: u64, owner: u64) -> Self {
        let amount = owner % AMOUNTS;
        let body = format!(r#"{{"owner":{owner},"amount":{amount}}}"#);
        Self::new(Deed::Add { amount }, round, ("POST", "items"), (JSON, body))
    }

    pub(crate) fn change(round: u64, id: &str, amount: u64) -> Self {
        let amount = amount % AMOUNTS;
        let id = id.to_owned();
        let target = format!("items/{id}");
        let body = format!(r#"{{"amount":{amount}}}"#);
        let deed = Deed::Change { id, amount };
        Self::new(deed, round, ("PATCH", &target), (JSON, body))
    }

    pub(crate) fn remove(round: u64, id: &str) -> Self {
        let id = id.to_owned();
        let target = format!("items/{id}");
        let deed = Deed::Remove { id };
        Self::new(deed, round, ("DELETE", &target), (JSON, String::new()))
    }

    pub(crate) fn transact(round: u64, id: &str, amount: u64) -> Self {
        let (lot, id, amount) = (next(), id.to_owned(), amount % AMOUNTS);
        let label = label(lot);
        let body = format!(
            r#"{{"operations":[
                {{"op":"create","schema":"entries","data":{{"lot":{lot},"number":0,"round":{round}}}}},
                {{"op":"update","schema":"items","id":"{id}","data":{{"amount":{amount}}}}},
                {{"op":"create","schema":"marks","data":{{"lot":{lot},"label":"{label}","round":{round}}}}}
            ]}}"#
        );
        let deed = Deed::Transact { lot, id, amount };
        let mut sent = Self::new(deed, round, ("POST", ""), (JSON, body));
        "/api/v1/transactions".clone_into(&mut sent.request.target);
        sent
    }

    fn new(
        deed: Deed,
        round: u64,
        (method, target): (&str, &str),
        (kind, body): (&str, String),
    ) -> Self {
        let key = format!("request {}", next());
        let mut headers = vec![("idempotency-key", key.as_str())];
        if !body.is_empty() {
            headers.push(("content-type", kind));
        }
        let headers = headers.into_iter();
        Self {
            deed,
            round,
            answer: None,
            request: Request {
                method: method.to_owned(),
                target: format!("{RECORDS}/{target}"),
                headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
                body: body.into_bytes(),
            },
        }
    }

    /// Sends it, for the first time or again with the same key.
    pub(crate) fn send(&mut self, address: &str) -> Fate {
        self.answer = send(address, &self.request);
        self.fate()
    }

    /// What the answer means; anything else than success and a fault of the engine is a bug.
    pub(crate) fn fate(&self) -> Fate {
        let Some(answer) = &self.answer else {
            return Fate::Unknown;
        };
        let code = || serde_json::from_str::<Json>(&answer.text()).unwrap()["code"].clone();
        match answer.status {
            200 | 201 | 204 => Fate::Done,
            503 if code() == "commit_unknown" => Fate::Unknown,
            503 if code() == "engine_reopening" || code() == "overloaded" => Fate::Refused,
            507 if code() == "storage_full" => Fate::Refused,
            status => panic!("{status} to {:?}: {}", self.deed, answer.text()),
        }
    }

    /// Whether the answer is one that was kept.
    pub(crate) fn is_replay(&self) -> bool {
        let header = |answer: &Answer| answer.header("idempotency-replayed") == Some("true");
        self.answer.as_ref().is_some_and(header)
    }

    /// The id of what it added.
    pub(crate) fn id(&self) -> String {
        let answer = self.answer.as_ref().unwrap();
        let record: Json = serde_json::from_slice(&answer.body).unwrap();
        record["id"].as_str().unwrap().to_owned()
    }
}

/// Sends again whatever nobody knows the end of, and the last of what has an answer, which must
/// be told again. Answers how many of the first had been carried out.
pub(crate) fn send_again(address: &str, written: &mut [Sent], place: &str) -> (usize, usize) {
    const AGAIN: usize = 5;
    let (mut unknown, mut found) = (0, 0);
    let last = written.len().saturating_sub(AGAIN);
    for (at, sent) in written.iter_mut().enumerate() {
        let fate = sent.fate();
        if fate == Fate::Refused || (fate == Fate::Done && at < last) {
            continue;
        }
        let known = sent.answer.take().filter(|_| fate == Fate::Done);
        let deed = sent.deed.clone();
        assert_eq!(sent.send(address), Fate::Done, "{place}: {deed:?}");
        match (known, &sent.answer) {
            (Some(known), Some(again)) => {
                assert!(sent.is_replay(), "{place}: {deed:?} was carried out again");
                assert_eq!(again.body, known.body, "{place}: {deed:?}");
            }
            _ => {
                unknown += 1;
                found += usize::from(sent.is_replay());
            }
        }
    }
    (unknown, found)
}
