//! Changes of all records that match: counted, bounded, and made again after another writer.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use staffa_app::{Affected, Error};
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{Field, Filter, Operation, StorageError, Value};
use staffa_testkit::builders::next;
use staffa_testkit::{nth_id, row};

use crate::app::{App, block_on, ctx, limits};
use crate::rival::Rival;

/// Orders with quantities of at least this.
fn from(app: &App, quantity: i64) -> Affected {
    let schema = app.orders();
    let field = Field::find(&schema, "quantity").unwrap();
    let test = Test::Compare(Comparison::Gte, Value::Integer(quantity));
    Affected {
        schema,
        filter: Filter::condition(field, test),
        affected_max: 50,
        dry_run: false,
    }
}

async fn patch(app: &App, affected: &Affected, patch: &Json) -> Result<u64, Error> {
    let body = Bytes::from(patch.to_string());
    app.commands.patch_records(&ctx(), affected, &body).await
}

async fn remove(app: &App, affected: &Affected) -> Result<u64, Error> {
    app.commands.delete_records(&ctx(), affected).await
}

/// Orders A-1, A-2, … with their numbers as quantities.
async fn fill(app: &App, count: i64) {
    for n in 1..=count {
        app.create(&format!(
            r#"{{"reference":"A-{n}","quantity":{n},"extra":{{"n":{n}}}}}"#
        ))
        .await;
    }
}

async fn quantities(app: &App) -> Vec<(i64, Json)> {
    let all = app.all("orders").await;
    all.iter()
        .map(|r| {
            (
                r["version"].as_i64().unwrap(),
                r["data"]["quantity"].clone(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_patch_is_merged_into_each_record() {
    let app = App::new().await;
    fill(&app, 4).await;
    app.clock.advance_micros(1_000);
    let changes = json!({"customer": "Ada", "extra": {"more": true, "n": null}});
    assert_eq!(patch(&app, &from(&app, 3), &changes).await.unwrap(), 2);
    let all = app.all("orders").await;
    let seen: Vec<_> = all
        .iter()
        .map(|r| json!([r["version"], r["data"]["customer"], r["data"]["extra"]]))
        .collect();
    assert_eq!(
        Json::from(seen),
        json!([
            [1, null, {"n": 1}],
            [1, null, {"n": 2}],
            [2, "Ada", {"more": true}],
            [2, "Ada", {"more": true}]
        ])
    );
    assert_ne!(all[3]["updated_at"], all[3]["created_at"]);
}

#[tokio::test]
async fn records_that_match_go() {
    let app = App::new().await;
    fill(&app, 5).await;
    assert_eq!(remove(&app, &from(&app, 4)).await.unwrap(), 2);
    assert_eq!(remove(&app, &from(&app, 4)).await.unwrap(), 0);
    assert_eq!(app.count("orders").await, 3);
}

#[tokio::test]
async fn too_many_are_counted_and_left_alone() {
    let app = App::new().await;
    fill(&app, 5).await;
    let most = Affected {
        affected_max: 3,
        ..from(&app, 2)
    };
    for error in [
        patch(&app, &most, &json!({"paid": true}))
            .await
            .unwrap_err(),
        remove(&app, &most).await.unwrap_err(),
    ] {
        assert!(
            matches!(error, Error::TooManyAffected { found: 4, most: 3 }),
            "{error:?}"
        );
    }
    let dry = Affected {
        dry_run: true,
        ..most.clone()
    };
    assert_eq!(remove(&app, &dry).await.unwrap(), 4);
    assert_eq!(patch(&app, &dry, &json!({"paid": true})).await.unwrap(), 4);
    let all_versions = quantities(&app).await;
    assert!(all_versions.iter().all(|(version, _)| *version == 1));
    let enough = Affected {
        affected_max: 4,
        ..most
    };
    assert_eq!(remove(&app, &enough).await.unwrap(), 4);
}

#[tokio::test]
async fn what_is_wrong_in_a_patch_is_told_once() {
    let app = App::new().await;
    fill(&app, 3).await;
    let wrong = json!({"quantity": "x", "reference": null, "nope": 1});
    for dry_run in [false, true] {
        let affected = Affected {
            dry_run,
            ..from(&app, 1)
        };
        let error = patch(&app, &affected, &wrong).await.unwrap_err();
        let Error::Invalid { errors } = error else {
            panic!("{error:?}")
        };
        let mut pointers: Vec<_> = errors.iter().map(|e| e.pointer.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/nope", "/quantity", "/reference"]);
    }
    let taken = patch(&app, &from(&app, 2), &json!({"code": 1})).await;
    let Err(Error::UniqueViolation(violation)) = taken else {
        panic!("{taken:?}")
    };
    assert_eq!(
        (violation.index, violation.properties),
        (None, vec!["code".to_owned()])
    );
    assert!(
        quantities(&app)
            .await
            .iter()
            .all(|(version, _)| *version == 1)
    );
}

#[tokio::test]
async fn records_that_are_only_added_stay() {
    let app = App::new().await;
    let affected = Affected {
        schema: app.catalog.get("readings").unwrap(),
        filter: Filter::And(Vec::new()),
        affected_max: 1,
        dry_run: false,
    };
    for error in [
        remove(&app, &affected).await.unwrap_err(),
        patch(&app, &affected, &json!({})).await.unwrap_err(),
    ] {
        assert!(
            matches!(error, Error::Storage(StorageError::Unsupported(_))),
            "{error:?}"
        );
    }
}

/// Another writer lowers the quantity of the order `nth_id(2)` just before several are changed.
fn lower(operations: &[Operation], left: usize) -> Option<Operation> {
    if operations.len() < 2 {
        return None;
    }
    let version = i64::try_from(limits().retries_max + 3 - left).unwrap();
    let row = row! { reference: "A-2", quantity: 100 - version };
    Some(Operation::Replace {
        batch: next(operations[0].schema(), nth_id(2), version, row),
        expected: version - 1,
    })
}

async fn with_rival(times: usize) -> App {
    let app = App::with_writer(|inner| Rival::new(inner, times, lower)).await;
    fill(&app, 3).await;
    app
}

#[tokio::test]
async fn a_change_is_made_again_on_what_a_rival_wrote() {
    let app = with_rival(limits().retries_max + 1).await;
    let error = remove(&app, &from(&app, 1)).await.unwrap_err();
    assert!(
        matches!(error, Error::Storage(StorageError::Conflict)),
        "{error:?}"
    );
    assert_eq!(app.count("orders").await, 3);
    assert_eq!(remove(&app, &from(&app, 3)).await.unwrap(), 2);
    let left: Vec<_> = quantities(&app).await;
    assert_eq!(left, [(1, json!(1))]);
}

/// Whether to delete, from which quantity on, how many at most, and what to set.
type Change = (bool, i64, u64, Option<i64>);

fn changes() -> BoxedStrategy<Vec<Change>> {
    let set = prop_oneof![Just(None), (0..9_i64).prop_map(Some)];
    vec((any::<bool>(), 0..9_i64, 1..6_u64, set), 1..10).boxed()
}

proptest! {
    #[test]
    fn changes_by_filter_do_what_a_plain_map_does(
        quantities_ in vec(0..9_i64, 0..8),
        changes in changes(),
    ) {
        block_on(async {
            let app = App::new().await;
            let mut model: BTreeMap<u64, (i64, Option<i64>)> = BTreeMap::new();
            for (n, quantity) in (1..).zip(&quantities_) {
                app.create(&format!(r#"{{"reference":"A-{n}","quantity":{quantity}}}"#)).await;
                model.insert(n, (1, Some(*quantity)));
            }
            for (is_patch, least, most, set) in changes {
                let affected = Affected { affected_max: most, ..from(&app, least) };
                let matching: Vec<u64> = model
                    .iter()
                    .filter(|(_, (_, quantity))| quantity.is_some_and(|q| q >= least))
                    .map(|(n, _)| *n)
                    .collect();
                let answer = if is_patch {
                    patch(&app, &affected, &json!({"quantity": set})).await
                } else {
                    remove(&app, &affected).await
                };
                if matching.len() as u64 > most {
                    assert!(matches!(answer, Err(Error::TooManyAffected { .. })));
                    continue;
                }
                assert_eq!(answer.unwrap(), matching.len() as u64);
                for n in matching {
                    if is_patch {
                        let (version, quantity) = model.get_mut(&n).unwrap();
                        *version += 1;
                        *quantity = set;
                    } else {
                        model.remove(&n);
                    }
                }
            }
            let expected: Vec<_> = model.into_values().map(|(v, q)| (v, json!(q))).collect();
            assert_eq!(quantities(&app).await, expected);
        });
    }
}
