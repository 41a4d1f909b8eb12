//! Transactions: all or nothing, each operation upon what the earlier ones left.

mod model;

use bytes::Bytes;
use serde_json::{Value as Json, json};

use staffa_app::{Error, RecordView, StepResult};
use staffa_domain::{Operation, RecordId, StorageError};
use staffa_testkit::builders::{batch, next};
use staffa_testkit::{nth_id, row};

use crate::app::{App, ctx, json_of, limits};
use crate::rival::Rival;

async fn run(app: &App, operations: &Json) -> Result<Vec<StepResult>, Error> {
    let body = json!({ "operations": operations }).to_string();
    app.commands
        .run_transaction(&ctx(), &Bytes::from(body))
        .await
}

/// The place that an error names, and the error.
#[track_caller]
fn place(result: Result<Vec<StepResult>, Error>) -> (String, Error) {
    match result.unwrap_err() {
        Error::InOperation {
            operation,
            member,
            source,
        } => (format!("/operations/{operation}{member}"), *source),
        Error::Question(problem) => (problem.pointer.clone(), Error::Question(problem)),
        other => (String::new(), other),
    }
}

/// Version and some data of each order, in the order of their ids.
async fn seen(app: &App) -> Json {
    let all = app.all("orders").await;
    let of = |r: &Json| {
        let data = &r["data"];
        json!([
            r["version"],
            data["reference"],
            data["code"],
            data["quantity"]
        ])
    };
    all.iter().map(of).collect()
}

fn create(reference: &str) -> Json {
    json!({"op": "create", "schema": "orders", "data": {"reference": reference}})
}

#[tokio::test]
async fn later_operations_see_earlier_ones() {
    let app = App::new().await;
    let results = run(
        &app,
        &json!([
            {"op": "create", "schema": "orders", "as": "a", "data": {"reference": "A", "code": 1}},
            {"op": "update", "schema": "orders", "id": {"$ref": "a.id"}, "if_match": 1,
             "data": {"quantity": 5}, "as": "b"},
            {"op": "create", "schema": "readings",
             "data": {"sensor": {"$ref": "b.id"}, "reading": {"$ref": "b.data.quantity"}}},
            {"op": "replace", "schema": "orders", "id": {"$ref": "b.id"},
             "if_match": {"$ref": "b.version"},
             "data": {"reference": "B", "tags": [{"$ref": "a.data.reference"}, "x"],
                      "extra": {"was": {"$ref": "b.data.reference"}, "of": {"$ref": "a.data.extra"}}}},
            {"op": "upsert", "schema": "orders", "data": {"reference": "B", "code": 1}},
            {"op": "assert", "schema": "orders",
             "filters": [{"field": "id", "operator": "eq", "value": {"$ref": "a.id"}}]},
            {"op": "create", "schema": "orders", "as": "gone", "data": {"reference": "A"}},
            {"op": "delete", "schema": "orders", "id": {"$ref": "gone.id"}},
            {"op": "assert", "schema": "orders", "id": {"$ref": "gone.id"}, "exists": false},
        ]),
    )
    .await
    .unwrap();
    assert_eq!(results.len(), 9);
    assert_eq!(seen(&app).await, json!([[4, "B", 1, null]]));
    let versions: Vec<_> = results
        .iter()
        .map(|result| result.record.as_ref().and_then(RecordView::version))
        .collect();
    assert_eq!(versions[..5], [Some(1), Some(2), Some(1), Some(3), Some(4)]);
    assert_eq!(results[5].id, None);
    assert_eq!(results[7].id, results[6].id);
    let replaced = json_of(results[3].record.as_ref().unwrap());
    assert_eq!(replaced["data"]["tags"], json!(["A", "x"]));
    assert_eq!(replaced["data"]["extra"], json!({"was": "A", "of": null}));
    let readings = app.all("readings").await;
    let id = results[0].id.map(|id| id.to_string());
    assert_eq!(readings[0]["data"], json!({"sensor": id, "reading": 5.0}));
}

/// Operations that fail, each with the place of its fault.
fn failing(id: &str, missing: &str) -> Vec<(Json, &'static str)> {
    let on = |op: &str, id: &str, more: Json| {
        let mut operation = json!({"op": op, "schema": "orders", "id": id});
        let members = operation.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        operation
    };
    let data = |data: Json| json!({ "data": data });
    vec![
        (on("update", missing, data(json!({}))), "/operations/1/id"),
        (
            on("replace", missing, data(json!({"reference": "Y"}))),
            "/operations/1/id",
        ),
        (on("delete", missing, json!({})), "/operations/1/id"),
        (on("update", "no-id", data(json!({}))), "/operations/1/id"),
        (
            on("delete", id, json!({"if_match": 2})),
            "/operations/1/if_match",
        ),
        (
            on("update", id, json!({"data": {}, "if_match": "\"2\""})),
            "/operations/1/if_match",
        ),
        (
            on("update", id, json!({"data": {}, "if_match": "x"})),
            "/operations/1/if_match",
        ),
        (
            on("update", id, data(json!({"quantity": "x"}))),
            "/operations/1/data",
        ),
        (
            on("replace", id, data(json!({"quantity": 1}))),
            "/operations/1/data",
        ),
        (on("update", id, data(json!([]))), "/operations/1/data"),
        (
            on("update", id, data(json!({"tags": [{"$ref": "b.id"}]}))),
            "/operations/1/data/tags/0",
        ),
        (
            on("update", id, data(json!({"code": {"$ref": "a"}}))),
            "/operations/1/data/code",
        ),
        (
            on("update", id, data(json!({"code": {"$ref": "a.nope"}}))),
            "/operations/1/data/code",
        ),
        (create("X"), "/operations/1/data"),
        (
            json!({"op": "assert", "schema": "orders", "exists": false, "filters": []}),
            "/operations/1",
        ),
        (
            json!({"op": "assert", "schema": "orders", "filters": {"field": "nope"}}),
            "/operations/1/filters/field",
        ),
        (
            json!({"op": "assert", "schema": "orders"}),
            "/operations/1/filters",
        ),
        (
            json!({"op": "upsert", "schema": "readings", "data": {"sensor": "a"}}),
            "/operations/1",
        ),
    ]
}

#[tokio::test]
async fn a_failing_operation_is_named_and_undoes_all() {
    let app = App::new().await;
    let id = app.create(r#"{"reference": "X", "code": 7}"#).await;
    let id = id.to_string();
    let missing = nth_id(77).to_string();
    let first = json!({"op": "create", "schema": "orders", "as": "a", "data": {"reference": "F"}});
    for (failing, pointer) in failing(&id, &missing) {
        let result = run(&app, &json!([first, failing, create("L")])).await;
        let (found, error) = place(result);
        assert_eq!(found, pointer, "{failing}: {error:?}");
        assert_eq!(seen(&app).await, json!([[1, "X", 7, null]]), "{failing}");
    }
}

#[tokio::test]
async fn what_is_no_transaction_is_refused() {
    let app = App::new().await;
    for (body, pointer) in [
        (r#"{"operations": 1}"#, "/operations"),
        ("{}", ""),
        (r#"{"ops": []}"#, "/ops"),
        (r#"{"operations": [], "more": 1}"#, "/more"),
        (r#"{"operations": [1]}"#, "/operations/0"),
        (r#"{"operations": [{"op": "create"}]}"#, "/operations/0"),
        (r#"{"operations": [{"schema": "orders"}]}"#, "/operations/0"),
        (
            r#"{"operations": [{"op": "make", "schema": "orders"}]}"#,
            "/operations/0/op",
        ),
        (
            r#"{"operations": [{"op": "create", "op": "create", "schema": "orders"}]}"#,
            "/operations/0/op",
        ),
        (
            r#"{"operations": [{"op": "create", "schema": "orders", "data": {}, "if_match": 1}]}"#,
            "/operations/0/if_match",
        ),
        (
            r#"{"operations": [{"op": "create", "schema": "orders", "dat": {}}]}"#,
            "/operations/0/dat",
        ),
        (
            r#"{"operations": [{"op": "delete", "schema": "orders", "id": null}]}"#,
            "/operations/0",
        ),
    ] {
        let body = Bytes::from_static(body.as_bytes());
        let (found, error) = place(app.commands.run_transaction(&ctx(), &body).await);
        assert_eq!(found, pointer, "{error:?}");
    }
    for body in ["", "[]", "{\"operations\": [", "{\"operations\": []} x"] {
        let body = Bytes::from_static(body.as_bytes());
        let error = app
            .commands
            .run_transaction(&ctx(), &body)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Malformed(_)), "{error:?}");
    }
    let many: Vec<Json> = (0..=limits().operations_max)
        .map(|n| create(&n.to_string()))
        .collect();
    let (found, _) = place(run(&app, &Json::from(many.clone())).await);
    assert_eq!(found, "/operations");
    run(&app, &Json::from(many[1..].to_vec())).await.unwrap();
    assert_eq!(app.count("orders").await, limits().operations_max);
    assert!(run(&app, &json!([])).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_upsert_finds_its_record_by_id_or_key() {
    let app = App::new().await;
    let id = app
        .create(r#"{"reference": "X", "code": 7, "quantity": 1}"#)
        .await;
    let new = nth_id(500);
    let results = run(
        &app,
        &json!([
            {"op": "upsert", "schema": "orders", "data": {"reference": "X", "code": 8}},
            {"op": "upsert", "schema": "orders", "id": id.to_string(), "if_match": 2,
             "data": {"reference": "Y"}},
            {"op": "upsert", "schema": "orders", "id": new.to_string(),
             "data": {"reference": "X"}},
            {"op": "upsert", "schema": "orders", "data": {"reference": "Y", "quantity": 3}},
            {"op": "upsert", "schema": "orders", "data": {"reference": "Z"}},
        ]),
    )
    .await
    .unwrap();
    let ids: Vec<_> = results.iter().filter_map(|result| result.id).collect();
    assert_eq!(ids[..4], [id, id, new, id]);
    let mut found = app.all("orders").await;
    found.sort_by_key(|r| r["data"]["reference"].as_str().unwrap().to_owned());
    let found: Vec<_> = found
        .iter()
        .map(|r| json!([r["version"], r["data"]["reference"], r["data"]["quantity"]]))
        .collect();
    assert_eq!(
        Json::from(found),
        json!([[1, "X", null], [4, "Y", 3], [1, "Z", null]])
    );
    let absent = json!([{"op": "upsert", "schema": "orders", "id": nth_id(9).to_string(),
                         "if_match": 1, "data": {"reference": "N"}}]);
    let (pointer, error) = place(run(&app, &absent).await);
    assert_eq!(pointer, "/operations/0/if_match");
    assert!(matches!(error, Error::RecordNotFound), "{error:?}");
}

#[tokio::test]
async fn references_stand_for_a_bounded_amount() {
    let app = App::new().await;
    let mut operations = vec![json!({"op": "create", "schema": "orders", "as": "r0",
        "data": {"reference": "0", "extra": {"text": "x".repeat(200_000)}}})];
    for n in 1..15 {
        let before = format!("r{}.data.extra", n - 1);
        let twice = json!([{"$ref": before}, {"$ref": before}]);
        operations.push(
            json!({"op": "create", "schema": "orders", "as": format!("r{n}"),
            "data": {"reference": n.to_string(), "extra": {"twice": twice}}}),
        );
    }
    let error = run(&app, &Json::from(operations)).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error:?}");
    assert_eq!(app.count("orders").await, 0);
}

/// Another writer changes the order `nth_id(1)` just before a transaction is carried out.
fn change_first(operations: &[Operation], left: usize) -> Option<Operation> {
    if operations.len() < 2 {
        return None;
    }
    let version = i64::try_from(limits().retries_max + 3 - left).unwrap();
    let row = row! { reference: "A", quantity: 100 - version };
    Some(Operation::Replace {
        batch: next(operations[0].schema(), nth_id(1), version, row),
        expected: version - 1,
    })
}

/// Another writer adds the order `R` just before a transaction is carried out.
fn add_first(operations: &[Operation], _: usize) -> Option<Operation> {
    let added = || batch(operations[0].schema(), 900, vec![row! { reference: "R" }]);
    (operations.len() > 1).then(|| Operation::Create(added()))
}

async fn with_rival(adds: bool) -> (App, RecordId) {
    let app = App::with_writer(|inner| {
        if adds {
            Rival::new(inner, 1, add_first)
        } else {
            Rival::new(inner, limits().retries_max + 1, change_first)
        }
    })
    .await;
    let id = app.create(r#"{"reference": "A", "code": 1}"#).await;
    (app, id)
}

#[tokio::test]
async fn a_plan_is_made_again_after_a_rival() {
    let (app, id) = with_rival(false).await;
    let update = json!({"op": "update", "schema": "orders", "id": id.to_string(),
                        "data": {"code": 5}});
    let list = json!([create("N"), update]);
    let error = run(&app, &list).await.unwrap_err();
    assert!(
        matches!(error, Error::Storage(StorageError::Conflict)),
        "{error:?}"
    );
    assert_eq!(app.count("orders").await, 1);
    run(&app, &list).await.unwrap();
    let version = i64::try_from(limits().retries_max).unwrap() + 3;
    assert_eq!(
        seen(&app).await[0],
        json!([version, "A", 5, 100 - version + 1])
    );
}

#[tokio::test]
async fn an_upsert_that_came_second_changes_what_came_first() {
    let (app, _) = with_rival(true).await;
    let upsert = json!({"op": "upsert", "schema": "orders",
                        "data": {"reference": "R", "code": 5}});
    let results = run(&app, &json!([create("N"), upsert])).await.unwrap();
    assert_eq!(results[1].id, Some(nth_id(900)));
    let (app, _) = with_rival(true).await;
    let (pointer, error) = place(run(&app, &json!([create("R"), create("N")])).await);
    assert_eq!(pointer, "/operations/0/data");
    assert!(matches!(error, Error::UniqueViolation(_)), "{error:?}");
}
