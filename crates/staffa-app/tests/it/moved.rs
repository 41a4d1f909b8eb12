//! Writes whose schema changed between their check and their commit: done again under the new
//! version where that is safe, and by its rules.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value as Json, json};

use staffa_app::{
    Affected, Context, CreateRecords, Error, EvolveSchema, Fingerprint, OnError, Once,
    Precondition, Return,
};
use staffa_domain::ports::{RecordWriter, WriteSession};
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{
    Field, Filter, Operation, Outcome, Property, PropertyName, PropertyType, RecordId, Schema,
    SchemaSnapshot, StorageError, Value, WriteOptions,
};
use staffa_testkit::MemorySpool;

use crate::app::{App, body, ctx, ingest, limits};
use crate::once::Brief;

/// Every write that can be done again. Those from `replace` on change the order `A`.
const WRITES: [&str; 10] = [
    "create",
    "enveloped",
    "bulk",
    "ingest",
    "replace",
    "patch",
    "delete",
    "patch by filter",
    "delete by filter",
    "transaction",
];

/// Writes an order of five, or changes the order `A` to it.
async fn write(app: &App, way: &str, id: RecordId) -> Result<(), Error> {
    let bytes = |json: Json| Bytes::from(json.to_string());
    let data = json!({"reference": "B", "quantity": 5});
    let enveloped = |data: Json| bytes(json!({"data": data, "schema_name": "orders"}));
    let (commands, ctx, any) = (&app.commands, ctx(), Precondition::None);
    let (target, five) = (("orders", id), bytes(json!({"quantity": 5})));
    match way {
        "create" => {
            let created = commands.create_record(&ctx, "orders", &bytes(data)).await;
            created.map(drop)
        }
        "enveloped" => {
            let created = commands
                .create_record_enveloped(&ctx, &enveloped(data))
                .await;
            created.map(drop)
        }
        "bulk" => {
            let text = enveloped(json!([data]));
            let request = CreateRecords {
                body: body(std::str::from_utf8(&text).unwrap()),
                returning: Return::None,
                errors_max: 10,
            };
            commands.create_records(&ctx, request).await.map(drop)
        }
        "ingest" => {
            let request = ingest(body(&data.to_string()), OnError::Abort);
            let report = commands.ingest_records(&ctx, request).await?;
            let errors = report.errors;
            match errors.is_empty() {
                true => Ok(()),
                false => Err(Error::Invalid { errors }),
            }
        }
        "replace" => {
            let replaced = commands
                .replace_record(&ctx, target, &bytes(data), &any)
                .await;
            replaced.map(drop)
        }
        "patch" => {
            let patched = commands.patch_record(&ctx, target, &five, &any);
            patched.await.map(drop)
        }
        "delete" => commands.delete_record(&ctx, target, &any).await,
        "patch by filter" => {
            let changed = commands
                .patch_records(&ctx, &those_of_one(app), &five)
                .await;
            changed.map(|count| assert_eq!(count, 1))
        }
        "delete by filter" => {
            let removed = commands.delete_records(&ctx, &those_of_one(app)).await;
            removed.map(|count| assert_eq!(count, 1))
        }
        "transaction" => {
            let update = json!({"op": "update", "schema": "orders", "id": id.to_string(),
                                "data": {"quantity": 5}});
            let list = bytes(json!({"operations": [update]}));
            commands.run_transaction(&ctx, &list).await.map(drop)
        }
        other => panic!("{other}"),
    }
}

/// Orders of one, as the server knows them.
fn those_of_one(app: &App) -> Affected {
    let schema = app.orders();
    let field = Field::find(&schema, "quantity").unwrap();
    let test = Test::Compare(Comparison::Eq, Value::Integer(1));
    Affected {
        schema,
        filter: Filter::condition(field, test),
        affected_max: 50,
        dry_run: false,
    }
}

/// Another server changes the orders, which this one does not know yet.
async fn changed_elsewhere(app: &App, change: fn(&mut Schema)) {
    let other = app.beside(MemorySpool::default()).await;
    let mut schema = other.orders().schema().clone();
    change(&mut schema);
    let asked = EvolveSchema {
        schema,
        dry_run: false,
        allow_destructive: true,
    };
    let evolved = other
        .commands
        .evolve_schema(&ctx(), asked, &Precondition::None)
        .await;
    evolved.unwrap();
}

/// A server with the order `A` of one, which does not know of a change.
async fn outdated(change: fn(&mut Schema)) -> (App, RecordId) {
    let app = App::new().await;
    let id = app.create(r#"{"reference": "A", "quantity": 1}"#).await;
    changed_elsewhere(&app, change).await;
    assert_eq!(app.orders().version(), 1);
    (app, id)
}

/// Other places for all properties behind, and a new one with a default.
fn moves_all(schema: &mut Schema) {
    schema.properties.remove(1);
    let note = PropertyName::new("note").unwrap();
    schema.properties.push(Property {
        default: Some(Value::String("new".to_owned())),
        ..Property::new(note, PropertyType::String)
    });
}

/// At most four of a kind.
fn allows_four(schema: &mut Schema) {
    let quantity = schema.properties.iter_mut();
    let mut quantity = quantity.filter(|property| property.name.as_str() == "quantity");
    quantity.next().unwrap().constraints.maximum = Some(Value::Integer(4));
}

fn renames_the_quantity(schema: &mut Schema) {
    let quantity = PropertyName::new("quantity").unwrap();
    let mut all = schema.properties.iter_mut();
    let property = all.find(|property| property.name == quantity).unwrap();
    property.name = PropertyName::new("pieces").unwrap();
    property.renamed_from = Some(quantity);
}

#[tokio::test]
async fn a_write_meets_a_change_and_lands_in_the_new_version() {
    for way in WRITES {
        let (app, id) = outdated(moves_all).await;
        write(&app, way, id).await.unwrap();
        assert_eq!(app.orders().version(), 2, "{way}");
        let all = app.all("orders").await;
        let seen: Vec<_> = all.iter().map(|it| &it["data"]).collect();
        let of = |it: &&&Json| it["quantity"] == 5 && it["note"] == "new";
        let expected = match way {
            "delete" | "delete by filter" => (0, 0),
            "create" | "enveloped" | "bulk" | "ingest" => (2, 1),
            _ => (1, 1),
        };
        let fives = seen.iter().filter(of).count();
        assert_eq!((seen.len(), fives), expected, "{way}: {seen:?}");
    }
}

#[tokio::test]
async fn what_no_longer_fits_is_told_by_the_new_version() {
    for way in WRITES {
        if way.starts_with("delete") {
            continue;
        }
        let (app, id) = outdated(allows_four).await;
        let error = write(&app, way, id).await.unwrap_err();
        let error = match error {
            Error::InOperation { source, .. } => *source,
            error => error,
        };
        let Error::Invalid { errors } = error else {
            panic!("{way}: {error:?}")
        };
        assert_eq!(errors[0].pointer, "/quantity", "{way}");
        let all = app.all("orders").await;
        assert_eq!(all.len(), 1, "{way}");
        assert_eq!(all[0]["data"]["quantity"], 1, "{way}");
    }
}

#[tokio::test]
async fn a_filter_is_read_again_by_its_names() {
    for way in ["patch by filter", "delete by filter"] {
        let (app, id) = outdated(renames_the_quantity).await;
        let error = write(&app, way, id).await.unwrap_err();
        assert!(matches!(error, Error::Question(_)), "{way}: {error:?}");
        assert_eq!(app.count("orders").await, 1, "{way}");
    }
}

#[tokio::test]
async fn a_request_with_a_key_is_carried_out_once_over_a_change() {
    let (app, _) = outdated(moves_all).await;
    let claim = app.commands.claim_key("k").unwrap();
    let (ctx, fingerprint) = (Context::new("k"), Fingerprint::new([&b"k"[..]]));
    let once = Once::new(&claim, fingerprint.clone(), Arc::new(Brief));
    ctx.set_once(once);
    let body = Bytes::from_static(br#"{"reference": "B"}"#);
    let created = app.commands.create_record(&ctx, "orders", &body).await;
    assert_eq!(created.unwrap().schema.version(), 2);
    assert!(ctx.once().unwrap().told().is_some());
    let kept = app.commands.kept_answer(&ctx, &claim).await.unwrap();
    assert!(kept.unwrap().answer(&fingerprint).is_ok());
    assert_eq!(app.count("orders").await, 2);
}

/// A body that is too long to be read again fails whole, for its sender to send it again.
#[tokio::test]
async fn a_long_body_is_left_to_its_sender() {
    let (app, _) = outdated(moves_all).await;
    let text = (0..3_000).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, r#"{{"reference": "A-{n}", "quantity": {n}}}"#);
        text
    });
    let again = || ingest(body(&text), OnError::Abort);
    let error = app.commands.ingest_records(&ctx(), again()).await;
    let error = error.unwrap_err();
    let moved = matches!(error, Error::Storage(StorageError::SchemaMoved { .. }));
    assert!(moved && error.is_retryable(), "{error:?}");
    app.catalog.reload().await.unwrap();
    assert_eq!(app.count("orders").await, 1);
    let report = app.commands.ingest_records(&ctx(), again()).await;
    assert_eq!(report.unwrap().receipt.inserted, 3_000);
}

/// A writer before whom every schema has just moved.
#[derive(Debug)]
struct Moving(Arc<dyn RecordWriter>, Arc<AtomicUsize>);

#[async_trait]
impl RecordWriter for Moving {
    async fn begin(
        &self,
        schema: &Arc<SchemaSnapshot>,
        options: WriteOptions,
    ) -> Result<Box<dyn WriteSession>, StorageError> {
        self.0.begin(schema, options).await
    }

    async fn execute(&self, _: Vec<Operation>) -> Result<Outcome, StorageError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let schema = "orders".to_owned();
        Err(StorageError::SchemaMoved { schema })
    }
}

#[tokio::test]
async fn a_schema_that_never_rests_ends_the_request() {
    let tries = Arc::new(AtomicUsize::new(0));
    let app = App::with_writer(|inner| Moving(inner, Arc::clone(&tries))).await;
    for way in ["create", "enveloped", "bulk", "ingest"] {
        tries.store(0, Ordering::SeqCst);
        let error = write(&app, way, staffa_testkit::nth_id(1)).await;
        let error = error.unwrap_err();
        assert!(error.is_retryable(), "{way}: {error:?}");
        let tried = tries.load(Ordering::SeqCst);
        assert_eq!(tried, limits().retries_max + 1, "{way}");
    }
}
