//! Bulk modes: what becomes of records whose key is known and of others, and of those that
//! are refused.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value as Json, json};

use staffa_app::{BulkMode, Error, IngestRecords, IngestReport, OnError, Return};
use staffa_codec::decode::InputFormat;
use staffa_domain::{RecordError, WriteReceipt};
use staffa_testkit::nth_id;

use crate::app::{self, App, block_on, body, ctx};

/// A request with the defaults of the wire, in this mode.
fn request(mode: BulkMode, format: InputFormat, text: &str) -> IngestRecords {
    IngestRecords {
        format,
        mode,
        errors_max: 100,
        ..app::ingest(body(text), OnError::Abort)
    }
}

async fn send(app: &App, request: IngestRecords) -> Result<IngestReport, Error> {
    app.commands.ingest_records(&ctx(), request).await
}

async fn lines(app: &App, mode: BulkMode, text: &str) -> Result<IngestReport, Error> {
    send(app, request(mode, InputFormat::NdJson, text)).await
}

fn done(receipt: &WriteReceipt) -> [u64; 4] {
    [
        receipt.inserted,
        receipt.updated,
        receipt.ignored,
        receipt.deleted,
    ]
}

fn places(errors: &[RecordError]) -> Vec<(u64, Option<u64>, &str, &str)> {
    errors
        .iter()
        .map(|e| (e.index, e.line, e.pointer.as_str(), e.code.as_str()))
        .collect()
}

/// Some data of the orders, in the order of their ids.
async fn seen(app: &App, names: &[&str]) -> Json {
    let of = |record: &Json| {
        let mut values = vec![record["version"].clone()];
        values.extend(names.iter().map(|name| record["data"][name].clone()));
        Json::from(values)
    };
    app.all("orders").await.iter().map(of).collect()
}

async fn with_three() -> App {
    let app = App::new().await;
    let text = r#"{"reference":"a","code":1,"quantity":10}
{"reference":"b","code":2,"quantity":20}
{"reference":"c","code":3,"quantity":30}"#;
    lines(&app, BulkMode::Insert, text).await.unwrap();
    app
}

#[tokio::test]
async fn an_upsert_replaces_what_is_there() {
    let app = with_three().await;
    let text = "{\"reference\":\"b\",\"code\":9}\n{\"reference\":\"d\"}\n{\"reference\":\"d\",\"quantity\":1}\n";
    let report = lines(&app, BulkMode::Upsert, text).await.unwrap();
    assert_eq!(done(&report.receipt), [1, 2, 0, 0]);
    let expected = json!([
        [1, "a", 1, 10],
        [2, "b", 9, null],
        [1, "c", 3, 30],
        [2, "d", null, 1]
    ]);
    assert_eq!(
        seen(&app, &["reference", "code", "quantity"]).await,
        expected
    );
}

#[tokio::test]
async fn a_key_may_be_chosen() {
    let app = with_three().await;
    let mut by_code = request(
        BulkMode::Ignore,
        InputFormat::Csv,
        "code,reference\n3,z\n4,y\n",
    );
    by_code.on_conflict = Some(vec!["code".to_owned()]);
    let report = send(&app, by_code).await.unwrap();
    assert_eq!(done(&report.receipt), [1, 0, 1, 0]);
    for (mode, key) in [
        (BulkMode::Upsert, vec!["quantity"]),
        (BulkMode::Upsert, vec!["code", "reference"]),
        (BulkMode::Upsert, vec!["code", "code"]),
        (BulkMode::Upsert, vec!["nope"]),
        (BulkMode::Upsert, vec![""]),
        (BulkMode::Insert, vec!["reference"]),
    ] {
        let mut bad = request(mode, InputFormat::NdJson, "");
        bad.on_conflict = Some(key.iter().copied().map(str::to_owned).collect());
        let error = send(&app, bad).await.unwrap_err();
        let Error::Question(problem) = error else {
            panic!("{key:?}: {error:?}")
        };
        assert_eq!(problem.pointer, "/on_conflict");
    }
    let mut readings = request(BulkMode::Delete, InputFormat::NdJson, "");
    readings.schema = "readings".to_owned();
    assert!(send(&app, readings).await.is_err(), "records only added");
}

#[tokio::test]
async fn each_record_of_an_update_gives_its_own() {
    let app = with_three().await;
    let text = r#"{"reference":"a","customer":"Ada"}
{"quantity":21,"reference":"b","code":null}
{"reference":"a","quantity":11}
{"reference":"c"}
"#;
    let report = lines(&app, BulkMode::Update, text).await.unwrap();
    assert_eq!(done(&report.receipt), [0, 4, 0, 0]);
    let expected = json!([
        [3, "a", 1, 11, "Ada"],
        [2, "b", null, 21, null],
        [2, "c", 3, 30, null]
    ]);
    let names = ["reference", "code", "quantity", "customer"];
    assert_eq!(seen(&app, &names).await, expected);
    let csv = "quantity,reference\n,a\n5,b\n";
    let report = send(&app, request(BulkMode::Update, InputFormat::Csv, csv)).await;
    assert_eq!(done(&report.unwrap().receipt), [0, 2, 0, 0]);
    let expected = json!([[4, "a", 1, null], [3, "b", null, 5], [2, "c", 3, 30]]);
    assert_eq!(
        seen(&app, &["reference", "code", "quantity"]).await,
        expected
    );
}

#[tokio::test]
async fn parts_are_checked_by_what_they_give() {
    let app = with_three().await;
    let text = r#"{"reference":"a","quantity":"x"}
{"quantity":1}
{"reference":null}
{"reference":"b","nope":1}
"#;
    let report = lines(&app, BulkMode::Update, text).await.unwrap();
    assert_eq!(
        places(&report.errors),
        [
            (0, Some(1), "/quantity", "type_mismatch"),
            (1, Some(2), "/reference", "required"),
            (2, Some(3), "/reference", "required"),
            (3, Some(4), "/nope", "unknown_property"),
        ]
    );
    assert_eq!(done(&report.receipt), [0; 4]);
}

#[tokio::test]
async fn a_delete_needs_keys_alone() {
    let app = with_three().await;
    let text = "{\"reference\":\"a\"}\n{\"reference\":\"c\",\"quantity\":99}\n";
    let report = lines(&app, BulkMode::Delete, text).await.unwrap();
    assert_eq!(done(&report.receipt), [0, 0, 0, 2]);
    assert_eq!(seen(&app, &["reference"]).await, json!([[1, "b"]]));
}

const WITH_REFUSED: &str = r#"{"reference":"d","code":4}

{"reference":"b","code":5}
{"reference":"e","code":3}
{"reference":"e","quantity":"x"}
{"reference":"e","code":5}
"#;

#[tokio::test]
async fn refused_records_leave_the_others() {
    let app = with_three().await;
    let mut skip = request(BulkMode::Insert, InputFormat::NdJson, WITH_REFUSED);
    skip.on_error = OnError::Continue;
    skip.returning = Return::Ids;
    let report = send(&app, skip).await.unwrap();
    assert_eq!(
        places(&report.errors),
        [
            (1, Some(3), "/reference", "unique_violation"),
            (2, Some(4), "/code", "unique_violation"),
            (3, Some(5), "/quantity", "type_mismatch"),
        ]
    );
    assert_eq!((report.received, report.failed), (5, 3));
    assert_eq!(done(&report.receipt), [2, 0, 0, 0]);
    let stored: Vec<_> = app.all("orders").await.iter().skip(3).map(id_of).collect();
    let told: Vec<_> = report.ids.iter().map(ToString::to_string).collect();
    assert_eq!(told, stored);
}

fn id_of(record: &Json) -> String {
    record["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn all_or_nothing_tells_all_that_is_taken() {
    let app = with_three().await;
    let text = WITH_REFUSED.replace("\"x\"", "7");
    let error = lines(&app, BulkMode::Insert, &text).await.unwrap_err();
    let Error::Refused { errors } = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        places(&errors),
        [
            (1, Some(3), "/reference", "unique_violation"),
            (2, Some(4), "/code", "unique_violation"),
            (4, Some(6), "/reference", "unique_violation"),
        ]
    );
    let missing = "{\"reference\":\"a\"}\n{\"reference\":\"z\"}\n";
    let report = lines(&app, BulkMode::Delete, missing).await.unwrap();
    assert_eq!(
        places(&report.errors),
        [(1, Some(2), "", "record_not_found")]
    );
    assert_eq!(done(&report.receipt), [0; 4]);
    assert_eq!(app.count("orders").await, 3);
}

#[tokio::test]
async fn errors_of_both_kinds_are_cut_together() {
    let app = with_three().await;
    for (most, told) in [(1, 1), (2, 2), (3, 3)] {
        let mut skip = request(BulkMode::Insert, InputFormat::NdJson, WITH_REFUSED);
        skip.on_error = OnError::Continue;
        skip.errors_max = most;
        let report = send(&app, skip).await.unwrap();
        assert_eq!(report.errors.len(), told);
        let indexes: Vec<_> = report.errors.iter().map(|error| error.index).collect();
        assert!(indexes.is_sorted(), "{indexes:?}");
        assert!(report.errors_truncated || report.failed == told as u64);
    }
}

#[tokio::test]
async fn ids_are_answered_up_to_a_limit() {
    let app = with_three().await;
    let ask = |mode, text: &str| {
        let mut request = request(mode, InputFormat::NdJson, text);
        request.returning = Return::Ids;
        request
    };
    let two = "{\"reference\":\"b\"}\n{\"reference\":\"d\"}\n";
    let report = send(&app, ask(BulkMode::Upsert, two)).await.unwrap();
    assert_eq!(report.ids[0], nth_id(2));
    assert_eq!(report.ids.len(), 2);
    let new = "{\"reference\":\"e\"}\n";
    let report = send(&app, ask(BulkMode::Insert, new)).await.unwrap();
    let last = app.all("orders").await.last().map(id_of);
    assert_eq!(report.ids.first().map(ToString::to_string), last);
    let many = (0..6).map(|n| format!("{{\"reference\":\"m{n}\"}}"));
    let many = many.collect::<Vec<_>>().join("\n");
    let error = send(&app, ask(BulkMode::Insert, &many)).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error:?}");
    assert_eq!(app.count("orders").await, 5);
}

/// An order as plainly as can be.
#[derive(Debug, Clone, PartialEq)]
struct Order {
    version: i64,
    data: Map<String, Json>,
}

/// What a bulk write should do, record by record.
#[derive(Debug, Clone, Default)]
struct Model {
    orders: BTreeMap<String, Order>,
}

impl Model {
    fn takes_code(&self, reference: &str, code: &Json) -> bool {
        let mut others = self.orders.iter().filter(|(other, _)| *other != reference);
        !code.is_null() && others.any(|(_, order)| order.data.get("code") == Some(code))
    }

    /// Answers which count rises, or the place and the code of the error.
    fn apply(&mut self, mode: BulkMode, given: &Map<String, Json>) -> Result<usize, [String; 2]> {
        let error = |place: &str, code: &str| Err([place.to_owned(), code.to_owned()]);
        let Some(reference) = given.get("reference").and_then(Json::as_str) else {
            return error("/reference", "required");
        };
        let stored = self.orders.get(reference);
        let whole = || {
            let names = ["reference", "code", "quantity"];
            let value = |name| given.get(name).cloned().unwrap_or(Json::Null);
            names
                .map(|name| (name.to_owned(), value(name)))
                .into_iter()
                .collect()
        };
        let (version, data, count): (_, Map<String, Json>, _) = match (mode, stored) {
            (BulkMode::Insert, Some(_)) => return error("/reference", "unique_violation"),
            (BulkMode::Ignore, Some(_)) => return Ok(2),
            (BulkMode::Update | BulkMode::Delete, None) => return error("", "record_not_found"),
            (BulkMode::Delete, Some(_)) => {
                self.orders.remove(reference);
                return Ok(3);
            }
            (BulkMode::Update, Some(stored)) => {
                let mut data = stored.data.clone();
                data.extend(given.clone());
                (stored.version + 1, data, 1)
            }
            (BulkMode::Upsert, Some(stored)) => (stored.version + 1, whole(), 1),
            (_, None) => (1, whole(), 0),
        };
        if self.takes_code(reference, &data["code"]) {
            return error("/code", "unique_violation");
        }
        let order = Order { version, data };
        self.orders.insert(reference.to_owned(), order);
        Ok(count)
    }
}

fn records() -> BoxedStrategy<Vec<Map<String, Json>>> {
    let value = prop_oneof![
        1 => Just(Json::Null),
        4 => (0..5_i64).prop_map(Json::from),
    ];
    let rest = btree_map(select(vec!["code", "quantity"]), value, 0..=2);
    let key = prop_oneof![
        1 => Just(None),
        9 => (0..5_u8).prop_map(|key| Some(format!("r{key}"))),
    ];
    let record = (key, rest).prop_map(|(key, rest)| {
        let key = key.map(|key| ("reference".to_owned(), Json::from(key)));
        let rest = rest.into_iter();
        key.into_iter()
            .chain(rest.map(|(name, value)| (name.to_owned(), value)))
            .collect()
    });
    vec(record, 0..8).boxed()
}

/// A bulk, and what becomes of its bad records.
type Bulk = (BulkMode, OnError, Vec<Map<String, Json>>);

fn bulks() -> BoxedStrategy<Vec<Bulk>> {
    let modes = vec![
        BulkMode::Insert,
        BulkMode::Upsert,
        BulkMode::Ignore,
        BulkMode::Update,
        BulkMode::Delete,
    ];
    let policy = select(vec![OnError::Abort, OnError::Continue, OnError::Continue]);
    vec((select(modes), policy, records()), 1..12).boxed()
}

async fn check_bulk(app: &App, model: &mut Model, (mode, on_error, records): &Bulk) {
    let lines = records.iter().map(|record| Json::from(record.clone()));
    let lines: Vec<_> = lines.map(|line| line.to_string()).collect();
    let text = lines.join("\n");
    let mut request = request(*mode, InputFormat::NdJson, &text);
    request.on_error = *on_error;
    let answer = send(app, request).await;
    let mut next = model.clone();
    let mut counts = [0; 4];
    let mut invalid = Vec::new();
    let mut refused = Vec::new();
    for (index, record) in records.iter().enumerate() {
        match next.apply(*mode, record) {
            Ok(count) => counts[count] += 1,
            Err([place, code]) if code == "required" => invalid.push((index as u64, place, code)),
            Err([place, code]) => refused.push((index as u64, place, code)),
        }
    }
    let is_stored = *on_error == OnError::Continue || invalid.len() + refused.len() == 0;
    let is_taken = refused
        .iter()
        .any(|(_, _, code)| code == "unique_violation");
    let mut expected = invalid.clone();
    if *on_error == OnError::Continue || invalid.is_empty() {
        expected.extend(refused.clone());
        expected.sort();
    }
    let (errors, report) = match answer {
        Ok(report) => (report.errors.clone(), Some(report)),
        Err(Error::Refused { errors }) => (errors, None),
        Err(other) => panic!("{other:?}"),
    };
    let found: Vec<_> = errors
        .iter()
        .map(|e| (e.index, e.pointer.clone(), e.code.to_string()))
        .collect();
    assert_eq!(found, expected, "{mode:?} {on_error:?}\n{text}");
    let is_conflict = *on_error == OnError::Abort && invalid.is_empty() && is_taken;
    assert_eq!(
        report.is_none(),
        is_conflict,
        "{mode:?} {on_error:?}\n{text}"
    );
    if is_stored {
        assert_eq!(report.map(|report| done(&report.receipt)), Some(counts));
        *model = next;
    }
    let all = app.all("orders").await;
    let stored: BTreeMap<String, Order> = all
        .iter()
        .map(|record| {
            let data = record["data"].as_object().unwrap();
            let names = ["reference", "code", "quantity"];
            let data = names.map(|name| (name.to_owned(), data[name].clone()));
            let order = Order {
                version: record["version"].as_i64().unwrap(),
                data: data.into_iter().collect(),
            };
            (order.data["reference"].as_str().unwrap().to_owned(), order)
        })
        .collect();
    assert_eq!(stored, model.orders, "{mode:?} {on_error:?}\n{text}");
}

proptest! {
    #[test]
    fn bulks_do_what_a_plain_map_does(bulks in bulks()) {
        block_on(async {
            let app = App::new().await;
            let mut model = Model::default();
            for bulk in &bulks {
                check_bulk(&app, &mut model, bulk).await;
            }
        });
    }
}
