//! Changing and removing one record: what a patch keeps, preconditions, and other writers.

use bytes::Bytes;
use serde_json::{Value as Json, json};

use staffa_app::{Error, Precondition};
use staffa_domain::{Operation, RecordId, StorageError};
use staffa_testkit::builders::next;
use staffa_testkit::{nth_id, row};

use crate::app::{App, ctx, json_of, limits};
use crate::rival::Rival;

async fn patch(
    app: &App,
    id: RecordId,
    json: &'static str,
    precondition: &Precondition,
) -> Result<Json, Error> {
    let body = Bytes::from_static(json.as_bytes());
    let target = ("orders", id);
    let view = app
        .commands
        .patch_record(&ctx(), target, &body, precondition)
        .await?;
    Ok(json_of(&view))
}

async fn replace(
    app: &App,
    id: RecordId,
    json: &'static str,
    precondition: &Precondition,
) -> Result<Json, Error> {
    let body = Bytes::from_static(json.as_bytes());
    let target = ("orders", id);
    let view = app
        .commands
        .replace_record(&ctx(), target, &body, precondition)
        .await?;
    Ok(json_of(&view))
}

#[track_caller]
fn assert_mismatch<T: std::fmt::Debug>(result: Result<T, Error>, version: i64) {
    let error = result.unwrap_err();
    assert!(
        matches!(error, Error::VersionMismatch { current } if current == version),
        "{error:?}"
    );
}

const ORDER: &str = r#"{"reference": "A", "quantity": 1, "paid": true, "extra": {"a": 1, "b": 2}}"#;

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let app = App::new().await;
    let id = app.create(ORDER).await;
    let before = app.order(id).await;
    app.clock.advance_micros(1_000_000);
    let body = r#"{"paid": null, "weight": 2.5, "extra": {"b": null, "c": 3}}"#;
    let after = patch(&app, id, body, &Precondition::None).await.unwrap();
    assert_eq!(after, app.order(id).await);
    let data = &after["data"];
    assert_eq!((&data["quantity"], &data["paid"]), (&json!(1), &Json::Null));
    assert_eq!(
        (&data["weight"], &data["extra"]),
        (&json!(2.5), &json!({"a": 1, "c": 3}))
    );
    assert_eq!(after["version"], 2);
    assert_eq!(after["created_at"], before["created_at"]);
    assert_ne!(after["updated_at"], before["updated_at"]);
}

#[tokio::test]
async fn a_replacement_leaves_nothing_of_the_old_data() {
    let app = App::new().await;
    let id = app.create(ORDER).await;
    let after = replace(&app, id, r#"{"reference": "B"}"#, &Precondition::None)
        .await
        .unwrap();
    assert_eq!(after, app.order(id).await);
    let data = after["data"].as_object().unwrap();
    let given: Vec<_> = data.iter().filter(|(_, value)| !value.is_null()).collect();
    assert_eq!(given, [(&"reference".to_owned(), &json!("B"))]);
    let error = replace(&app, id, r#"{"quantity": 2}"#, &Precondition::None)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    assert_eq!(app.order(id).await["version"], 2);
}

#[tokio::test]
async fn preconditions_hold_or_nothing_happens() {
    let app = App::new().await;
    let id = app.create(ORDER).await;
    let first = Precondition::Versions(vec![7, 1]);
    patch(&app, id, r#"{"quantity": 2}"#, &first).await.unwrap();
    assert_mismatch(patch(&app, id, r#"{"quantity": 3}"#, &first).await, 2);
    assert_mismatch(
        replace(&app, id, r#"{"reference": "B"}"#, &Precondition::Absent).await,
        2,
    );
    assert_mismatch(
        app.commands
            .delete_record(&ctx(), ("orders", id), &first)
            .await,
        2,
    );
    assert_eq!(app.order(id).await["data"]["quantity"], 2);
    let second = Precondition::Versions(vec![2]);
    app.commands
        .delete_record(&ctx(), ("orders", id), &second)
        .await
        .unwrap();
    let gone = patch(&app, id, "{}", &Precondition::None)
        .await
        .unwrap_err();
    assert!(matches!(gone, Error::RecordNotFound), "{gone:?}");
    let gone = app
        .commands
        .delete_record(&ctx(), ("orders", id), &Precondition::None)
        .await;
    assert!(matches!(gone, Err(Error::RecordNotFound)), "{gone:?}");
}

#[tokio::test]
async fn append_only_records_never_change() {
    let app = App::new().await;
    let body = Bytes::from_static(br#"{"sensor": "a"}"#);
    let view = app
        .commands
        .create_record(&ctx(), "readings", &body)
        .await
        .unwrap();
    let target = ("readings", view.id().unwrap());
    let patched = app
        .commands
        .patch_record(&ctx(), target, &body, &Precondition::None)
        .await;
    let removed = app
        .commands
        .delete_record(&ctx(), target, &Precondition::None)
        .await;
    for error in [patched.map(|_| ()).unwrap_err(), removed.unwrap_err()] {
        assert!(
            matches!(error, Error::Storage(StorageError::Unsupported(_))),
            "{error:?}"
        );
    }
}

/// Another writer changes the order `nth_id(1)` just before this process does.
fn change_first(operations: &[Operation], _: usize) -> Option<Operation> {
    let [Operation::Replace { batch, expected }] = operations else {
        return None;
    };
    let row = row! { reference: "A", quantity: 100 + *expected };
    Some(Operation::Replace {
        batch: next(batch.schema(), nth_id(1), expected + 1, row),
        expected: *expected,
    })
}

async fn with_rival(times: usize) -> (App, RecordId) {
    let app = App::with_writer(|inner| Rival::new(inner, times, change_first)).await;
    let id = app.create(ORDER).await;
    (app, id)
}

#[tokio::test]
async fn a_patch_is_made_again_on_what_a_rival_wrote() {
    let (app, id) = with_rival(2).await;
    let after = patch(&app, id, r#"{"weight": 1.5}"#, &Precondition::None)
        .await
        .unwrap();
    assert_eq!(after, app.order(id).await);
    assert_eq!(
        (&after["version"], &after["data"]["quantity"]),
        (&json!(4), &json!(102))
    );
    assert_eq!(after["data"]["weight"], 1.5);
}

#[tokio::test]
async fn a_rival_breaks_a_precondition() {
    let (app, id) = with_rival(1).await;
    let first = Precondition::Versions(vec![1]);
    assert_mismatch(patch(&app, id, r#"{"quantity": 5}"#, &first).await, 2);
    assert_eq!(app.order(id).await["data"]["quantity"], 101);
}

#[tokio::test]
async fn a_rival_that_never_rests_wins() {
    let (app, id) = with_rival(limits().retries_max + 1).await;
    let error = patch(&app, id, r#"{"quantity": 5}"#, &Precondition::None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Storage(StorageError::Conflict)),
        "{error:?}"
    );
    assert!(error.is_retryable());
}
