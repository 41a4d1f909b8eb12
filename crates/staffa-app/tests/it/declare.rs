//! Declaring schemas: new ones are made, descriptions taken, everything else refused.

use std::sync::Arc;

use staffa_app::{Catalog, StartError};
use staffa_domain::PropertyType;
use staffa_testkit::schemas::SchemaBuilder;

use crate::app::App;

#[tokio::test]
async fn what_is_declared_again_stays() {
    let app = App::new().await;
    app.catalog
        .declare(vec![app.orders().schema().clone()])
        .await
        .unwrap();
    assert_eq!(app.orders().version(), 1);
}

#[tokio::test]
async fn a_new_description_is_a_new_version() {
    let app = App::new().await;
    let mut schema = app.orders().schema().clone();
    schema.description = Some("Orders of a shop".to_owned());
    app.catalog.declare(vec![schema.clone()]).await.unwrap();
    let current = app.orders();
    assert_eq!((current.version(), current.schema()), (2, &schema));
    // Another process reads the same from the engine.
    let other = Catalog::open(Arc::clone(&app.storage.catalog))
        .await
        .unwrap();
    let other = other.get("orders").unwrap();
    assert_eq!((other.version(), other.schema()), (2, &schema));
    assert_eq!(other.property_ids(), current.property_ids());
}

#[tokio::test]
async fn a_schema_that_differs_is_refused_before_any_change() {
    let app = App::new().await;
    let new = SchemaBuilder::new("another")
        .optional("a", PropertyType::String)
        .schema();
    let mut changed = app.orders().schema().clone();
    changed.properties[0].property_type = PropertyType::Integer;
    let error = app.catalog.declare(vec![new, changed]).await.unwrap_err();
    let text = error.to_string();
    let StartError::Differs {
        name,
        version,
        differences,
    } = error
    else {
        panic!("{text}")
    };
    assert_eq!(
        (name.as_str(), version, differences.len()),
        ("orders", 1, 1)
    );
    assert!(differences[0].contains("reference"), "{text}");
    assert!(
        text.starts_with("the schema orders differs from the stored version 1"),
        "{text}"
    );
    assert!(app.catalog.get("another").is_err());
}

#[tokio::test]
async fn a_server_that_lost_the_race_finds_it_done() {
    let app = App::new().await;
    let open = || Catalog::open(Arc::clone(&app.storage.catalog));
    let (first, second) = (open().await.unwrap(), open().await.unwrap());
    let schema = |name: &str| {
        let builder = SchemaBuilder::new(name).optional("a", PropertyType::String);
        builder.schema()
    };
    first.declare(vec![schema("one")]).await.unwrap();
    // It read the catalog before the other one wrote it.
    second
        .declare(vec![schema("one"), schema("two")])
        .await
        .unwrap();
    assert_eq!(second.get("one").unwrap().version(), 1);
    assert_eq!(second.get("two").unwrap().version(), 1);
    first.reload().await.unwrap();
    assert!(first.get("two").is_ok());
}

#[tokio::test]
async fn what_needs_no_look_at_records_is_done_at_a_start() {
    let app = App::new().await;
    let mut schema = app.orders().schema().clone();
    let customer = app.orders().position("customer").unwrap();
    schema.properties[customer].renamed_from = Some(schema.properties[customer].name.clone());
    schema.properties[customer].name = staffa_domain::PropertyName::new("buyer").unwrap();
    app.catalog.declare(vec![schema.clone()]).await.unwrap();
    // The same document at the next start.
    app.catalog.declare(vec![schema.clone()]).await.unwrap();
    assert_eq!(app.orders().version(), 2);
    assert_eq!(app.orders().position("buyer"), Some(customer));
    schema.properties[customer].required = true;
    let error = app.catalog.declare(vec![schema]).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("set_required"), "{text}");
    assert!(text.contains("staffa schema apply"), "{text}");
}
