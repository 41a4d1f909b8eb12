//! Random transactions against a plain map.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value as Json, json};

use staffa_testkit::nth_id;

use super::{place, run};
use crate::app::{App, block_on};

/// One operation of a random transaction. Records are known by numbers: those that there
/// were, then those that the transaction makes.
#[derive(Debug, Clone)]
struct Random {
    verb: &'static str,
    record: usize,
    reference: u8,
    code: Option<i64>,
    quantity: Option<i64>,
    if_match: Option<i64>,
    exists: bool,
}

fn random() -> BoxedStrategy<Random> {
    let verbs = vec![
        "create",
        "create",
        "update",
        "update",
        "replace",
        "upsert",
        "upsert_id",
        "delete",
        "assert",
        "assert_id",
    ];
    (
        select(verbs),
        0..8_usize,
        0..6_u8,
        option::of(0..4_i64),
        option::of(0..9_i64),
        option::weighted(0.3, 1..4_i64),
        any::<bool>(),
    )
        .prop_map(
            |(verb, record, reference, code, quantity, if_match, exists)| Random {
                verb,
                record,
                reference,
                code,
                quantity,
                if_match,
                exists,
            },
        )
        .boxed()
}

#[derive(Debug, Clone, PartialEq)]
struct Order {
    version: i64,
    reference: String,
    code: Option<i64>,
    quantity: Option<i64>,
}

/// Orders by number; a plain map that does one operation after the other.
#[derive(Debug, Clone, Default)]
struct Model {
    orders: BTreeMap<usize, Order>,
    /// The number of the next new order.
    next: usize,
}

impl Model {
    fn put(&mut self, number: usize, order: Order) -> Option<usize> {
        let mut others = self.orders.iter().filter(|(other, _)| **other != number);
        let taken = others.any(|(_, other)| {
            other.reference == order.reference || (order.code.is_some() && other.code == order.code)
        });
        if taken {
            return None;
        }
        self.orders.insert(number, order);
        Some(number)
    }

    fn add(&mut self, order: Order) -> Option<usize> {
        let number = self.next;
        self.next += 1;
        self.put(number, order)
    }

    /// Carries one operation out and answers the number of its order; `None` when it fails.
    #[expect(
        clippy::option_option,
        reason = "the outer one is whether it succeeds, the inner one whether it has an order"
    )]
    fn apply(&mut self, op: &Random) -> Option<Option<usize>> {
        let whole = |version| Order {
            version,
            reference: format!("r{}", op.reference),
            code: op.code,
            quantity: op.quantity,
        };
        let has_version = |order: &Order| op.if_match.is_none_or(|v| v == order.version);
        let stored = self.orders.get(&op.record).cloned();
        let current = stored.clone().filter(has_version);
        let number = match op.verb {
            "create" => self.add(whole(1))?,
            "update" => {
                let current = current?;
                let changed = Order {
                    version: current.version + 1,
                    code: op.code.or(current.code),
                    quantity: op.quantity,
                    ..current
                };
                self.put(op.record, changed)?
            }
            "replace" => self.put(op.record, whole(current?.version + 1))?,
            "upsert_id" => self.put(op.record, whole(current?.version + 1))?,
            "upsert" => {
                let reference = format!("r{}", op.reference);
                let mut orders = self.orders.iter();
                match orders.find(|(_, order)| order.reference == reference) {
                    Some((number, order)) if has_version(order) => {
                        let (number, version) = (*number, order.version + 1);
                        self.put(number, whole(version))?
                    }
                    None if op.if_match.is_none() => self.add(whole(1))?,
                    _ => return None,
                }
            }
            "delete" => {
                current?;
                self.orders.remove(&op.record);
                op.record
            }
            "assert_id" => {
                let holds = current.is_some() == op.exists;
                return holds.then_some(None);
            }
            _ => {
                let wanted = Some(i64::from(op.reference));
                let found = self.orders.values().any(|order| order.quantity == wanted);
                return (found == op.exists).then_some(None);
            }
        };
        Some(Some(number))
    }
}

/// The operation as a client writes it: what the transaction made goes by its name.
fn written(
    op: &Random,
    at: usize,
    ids: &BTreeMap<usize, Json>,
    named: &BTreeMap<usize, usize>,
) -> Json {
    let id = named.get(&op.record).map_or_else(
        || {
            ids.get(&op.record)
                .cloned()
                .unwrap_or_else(|| json!(nth_id(999).to_string()))
        },
        |at| json!({"$ref": format!("s{at}.id")}),
    );
    let whole = json!({"reference": format!("r{}", op.reference), "code": op.code,
                       "quantity": op.quantity});
    let part = match op.code {
        Some(code) => json!({"code": code, "quantity": op.quantity}),
        None => json!({"quantity": op.quantity}),
    };
    let mut out = json!({"op": op.verb, "schema": "orders", "as": format!("s{at}")});
    match op.verb {
        "create" => out["data"] = whole,
        "update" => {
            out["id"] = id;
            out["data"] = part;
        }
        "replace" => {
            out["id"] = id;
            out["data"] = whole;
        }
        "upsert" => out["data"] = whole,
        "upsert_id" => {
            out["op"] = "upsert".into();
            out["id"] = id;
            out["data"] = whole;
        }
        "delete" => out["id"] = id,
        "assert_id" => {
            out["op"] = "assert".into();
            out["id"] = id;
            out["exists"] = op.exists.into();
        }
        _ => {
            let value = op.reference;
            out["filters"] = json!([{"field": "quantity", "operator": "eq", "value": value}]);
            out["exists"] = op.exists.into();
        }
    }
    if let (Some(version), false) = (op.if_match, ["create", "assert"].contains(&op.verb)) {
        out["if_match"] = version.into();
    }
    out
}

/// Runs one random transaction against the application and the model.
async fn check(
    app: &App,
    model: &mut Model,
    ids: &mut BTreeMap<usize, Json>,
    operations: &[Random],
) {
    let mut after = model.clone();
    let mut named = BTreeMap::new();
    let mut list = Vec::new();
    let mut numbers = Vec::new();
    let mut failed = None;
    for (at, op) in operations.iter().enumerate() {
        // An upsert by an id that nobody has would make a record of that id.
        let mut op = op.clone();
        if op.verb == "upsert_id" && !after.orders.contains_key(&op.record) {
            op.verb = "update";
        }
        list.push(written(&op, at, ids, &named));
        if failed.is_some() {
            continue;
        }
        match after.apply(&op) {
            Some(number) => {
                numbers.push(number);
                if let Some(number) = number.filter(|number| !ids.contains_key(number)) {
                    named.entry(number).or_insert(at);
                }
            }
            None => failed = Some(at),
        }
    }
    let list = Json::from(list);
    let answer = run(app, &list).await;
    match (failed, answer) {
        (None, Ok(results)) => {
            for (number, result) in numbers.into_iter().zip(&results) {
                if let (Some(number), Some(id)) = (number, result.id) {
                    let known = ids.entry(number).or_insert_with(|| json!(id.to_string()));
                    assert_eq!(*known, json!(id.to_string()), "{list}");
                }
            }
            *model = after;
        }
        (Some(at), Err(error)) => {
            // An operation whose fault shows without the engine is found first.
            let (pointer, error) = place(Err(error));
            let found = pointer
                .split('/')
                .nth(2)
                .and_then(|at| at.parse::<usize>().ok());
            assert!(
                found.is_some_and(|found| found >= at),
                "{at}: {error:?}\n{list}"
            );
        }
        (failed, answer) => panic!("{failed:?}, but {answer:?}\n{list}"),
    }
    let all = app.all("orders").await;
    let mut stored: Vec<_> = all
        .iter()
        .map(|r| (r["id"].clone(), r["version"].clone(), r["data"].clone()))
        .map(|(id, version, d)| json!([id, version, d["reference"], d["code"], d["quantity"]]))
        .collect();
    let mut expected: Vec<_> = model
        .orders
        .iter()
        .map(|(n, o)| json!([ids[n], o.version, o.reference, o.code, o.quantity]))
        .collect();
    stored.sort_by_key(ToString::to_string);
    expected.sort_by_key(ToString::to_string);
    assert_eq!(stored, expected, "{list}");
}

proptest! {
    #[test]
    fn transactions_do_what_a_plain_map_does(
        transactions in vec(vec(random(), 1..8), 1..10),
    ) {
        block_on(async {
            let app = App::new().await;
            let mut model = Model::default();
            let mut ids = BTreeMap::new();
            for operations in &transactions {
                check(&app, &mut model, &mut ids, operations).await;
            }
        });
    }
}
