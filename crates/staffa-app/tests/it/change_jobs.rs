//! Changes of schemas by jobs, what becomes of them when their server goes, and changes whose
//! request has gone.

use std::time::Duration;

use staffa_app::{Error, EvolveSchema, JobKind, JobState, Precondition};
use staffa_domain::{
    Property, PropertyName, PropertyType, RecordId, Schema, SchemaSnapshot, StorageError,
};
use staffa_testkit::ChangeGate;

use crate::app::{App, ctx};

/// The orders with a property more.
fn with_property(app: &App, name: &str) -> Schema {
    let mut schema = app.orders().schema().clone();
    let name = PropertyName::new(name).unwrap();
    let property = Property::new(name, PropertyType::String);
    schema.properties.push(property);
    schema
}

fn evolution(schema: Schema) -> EvolveSchema {
    EvolveSchema {
        schema,
        dry_run: false,
        allow_destructive: false,
    }
}

async fn try_start(app: &App, schema: Schema, on: &Precondition) -> Result<RecordId, Error> {
    let asked = evolution(schema);
    let job = app.commands.start_evolution(&ctx(), asked, on).await?;
    assert_eq!(
        (job.kind, job.state),
        (JobKind::EvolveSchema, JobState::Queued)
    );
    Ok(job.id)
}

async fn start(app: &App, schema: Schema) -> RecordId {
    let job = try_start(app, schema, &Precondition::None).await;
    job.unwrap()
}

fn version(app: &App) -> u32 {
    app.orders().version()
}

/// Waits until the engine has a version, which nobody needs to serve.
async fn until_stored(app: &App, wanted: u32) {
    loop {
        let stored = app.storage.catalog.load().await.unwrap();
        if stored
            .iter()
            .any(|schema| schema.name == "orders" && schema.version == wanted)
        {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A job that has begun, and waits before the gate.
async fn held() -> (App, ChangeGate, RecordId) {
    let (app, gate) = App::with_gate().await;
    gate.close();
    let id = start(&app, with_property(&app, "note")).await;
    gate.until_one_waits().await;
    (app, gate, id)
}

#[tokio::test]
async fn a_change_ends_with_its_version() {
    let app = App::new().await;
    let id = start(&app, with_property(&app, "note")).await;
    let job = app.ended(id).await;
    assert_eq!(
        (job.state, job.schema.as_str()),
        (JobState::Succeeded, "orders")
    );
    assert_eq!((job.schema_version, job.failure), (Some(2), None));
    assert!(job.started_at.is_some() && job.finished_at.is_some());
    assert_eq!(version(&app), 2);
    // Nothing is left to do, and that is well too.
    let again = start(&app, app.orders().schema().clone()).await;
    let job = app.ended(again).await;
    assert_eq!(
        (job.state, job.schema_version),
        (JobState::Succeeded, Some(2))
    );
    assert_eq!(version(&app), 2);
}

#[tokio::test]
async fn a_change_that_records_stand_in_the_way_of_fails() {
    let app = App::new().await;
    app.create(r#"{"reference": "A"}"#).await;
    let mut schema = app.orders().schema().clone();
    let mut properties = schema.properties.iter_mut();
    let quantity = properties.find(|property| property.name.as_str() == "quantity");
    quantity.unwrap().required = true;
    let id = start(&app, schema.clone()).await;
    let job = app.ended(id).await;
    assert_eq!((job.state, job.schema_version), (JobState::Failed, None));
    let asked = evolution(schema);
    let at_once = app
        .commands
        .evolve_schema(&ctx(), asked, &Precondition::None)
        .await
        .unwrap_err();
    assert!(
        matches!(at_once, Error::Storage(StorageError::Incompatible(_))),
        "{at_once:?}"
    );
    assert_eq!(job.failure.unwrap().detail, at_once.to_string());
    assert_eq!(version(&app), 1);
}

#[tokio::test]
async fn what_can_be_known_at_once_is_refused_at_once() {
    let app = App::new().await;
    let second = Precondition::Versions(vec![2]);
    let refused = try_start(&app, with_property(&app, "note"), &second).await;
    assert!(
        matches!(refused, Err(Error::SchemaVersionMismatch { current: 1 })),
        "{refused:?}"
    );
    let mut less = app.orders().schema().clone();
    less.properties
        .retain(|property| property.name.as_str() != "weight");
    let refused = try_start(&app, less, &Precondition::None).await;
    assert!(
        matches!(refused, Err(Error::UnsupportedChange(_))),
        "{refused:?}"
    );
    let gone = app
        .commands
        .start_drop(&ctx(), "nope", &Precondition::None)
        .await;
    assert!(matches!(gone, Err(Error::SchemaNotFound(_))), "{gone:?}");
    assert_eq!(app.commands.jobs().count(), (0, 0));
}

#[tokio::test]
async fn a_schema_goes_by_a_job() {
    let app = App::new().await;
    app.create(r#"{"reference": "A"}"#).await;
    let first = Precondition::Versions(vec![1]);
    let job = app.commands.start_drop(&ctx(), "orders", &first).await;
    let job = app.ended(job.unwrap().id).await;
    assert_eq!(
        (job.kind, job.state),
        (JobKind::DropSchema, JobState::Succeeded)
    );
    assert_eq!((job.schema_version, job.failure), (None, None));
    assert!(app.catalog.get("orders").is_err());
}

#[tokio::test]
async fn the_first_of_two_changes_wins() {
    let (app, gate, first) = held().await;
    let second = start(&app, with_property(&app, "other")).await;
    gate.open();
    assert_eq!(app.ended(first).await.state, JobState::Succeeded);
    let job = app.ended(second).await;
    assert_eq!(job.state, JobState::Failed);
    assert!(job.failure.unwrap().detail.contains("orders"));
    assert_eq!(version(&app), 2);
}

#[tokio::test]
async fn a_change_is_cancelled_only_before_it_begins() {
    let (app, gate, begun) = held().await;
    let waiting = start(&app, with_property(&app, "other")).await;
    let job = app.commands.cancel_job(&ctx(), waiting).await;
    assert_eq!(job.unwrap().unwrap().state, JobState::Cancelled);
    assert_eq!(app.job(waiting).await.state, JobState::Cancelled);
    let refused = app.commands.cancel_job(&ctx(), begun).await;
    assert!(matches!(refused, Err(Error::JobGoesOn)), "{refused:?}");
    // Another server does not know whether it has begun.
    let other = app
        .beside(staffa_testkit::MemorySpool::named("other"))
        .await;
    let refused = other.commands.cancel_job(&ctx(), begun).await;
    assert!(matches!(refused, Err(Error::JobGoesOn)), "{refused:?}");
    gate.open();
    assert_eq!(app.ended(begun).await.state, JobState::Succeeded);
    assert_eq!(version(&app), 2);
    assert_eq!(
        app.orders()
            .schema()
            .properties
            .last()
            .unwrap()
            .name
            .as_str(),
        "note"
    );
    // Once it has ended it is removed, as any job.
    let removed = app.commands.cancel_job(&ctx(), begun).await;
    assert_eq!(removed.unwrap(), None);
}

#[tokio::test]
async fn a_change_that_was_cut_off_before_it_was_stored_is_interrupted() {
    let (app, _gate, id) = held().await;
    app.commands.drain_jobs(Duration::ZERO).await;
    let next = app.restarted().await;
    assert_eq!(next.job(id).await.state, JobState::Running);
    next.commands.adopt_jobs().await.unwrap();
    let job = next.job(id).await;
    assert_eq!(
        (job.state, job.schema_version),
        (JobState::Interrupted, None)
    );
    assert_eq!(next.orders().version(), 1);
}

#[tokio::test]
async fn a_change_that_was_stored_before_its_server_went_has_succeeded() {
    let (app, gate, id) = held().await;
    app.commands.drain_jobs(Duration::ZERO).await;
    gate.open();
    until_stored(&app, 2).await;
    let next = app.restarted().await;
    next.commands.adopt_jobs().await.unwrap();
    let job = next.job(id).await;
    assert_eq!(
        (job.state, job.schema_version),
        (JobState::Succeeded, Some(2))
    );
}

#[tokio::test]
async fn a_change_of_a_server_that_is_gone_is_ended_by_another_after_a_while() {
    let (app, _gate, id) = held().await;
    app.commands.drain_jobs(Duration::ZERO).await;
    let other = app
        .beside(staffa_testkit::MemorySpool::named("other"))
        .await;
    other.commands.adopt_jobs().await.unwrap();
    assert_eq!(other.job(id).await.state, JobState::Running);
    other.clock.advance_micros(11 * 60_000_000);
    other.commands.adopt_jobs().await.unwrap();
    assert_eq!(other.job(id).await.state, JobState::Interrupted);
}

#[tokio::test]
async fn a_change_is_served_also_where_its_request_has_gone() {
    let (app, gate) = App::with_gate().await;
    gate.close();
    let (commands, asked) = (app.commands.clone(), evolution(with_property(&app, "note")));
    let request = tokio::spawn(async move {
        commands
            .evolve_schema(&ctx(), asked, &Precondition::None)
            .await
            .map(drop)
    });
    gate.until_one_waits().await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    assert_eq!(version(&app), 1);
    gate.open();
    let served = |schema: &SchemaSnapshot| schema.version() == 2;
    while !served(&app.orders()) {
        tokio::task::yield_now().await;
    }
}
