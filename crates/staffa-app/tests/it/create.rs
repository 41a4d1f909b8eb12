//! Creating one record, and a list of them in an envelope.

use bytes::Bytes;

use staffa_app::{CreateRecords, CreatedRecords, Error, Return};
use staffa_testkit::nth_id;

use crate::app::{App, body, ctx, json_of};

async fn create(app: &App, json: &'static str) -> Result<serde_json::Value, Error> {
    let body = Bytes::from_static(json.as_bytes());
    let view = app.commands.create_record(&ctx(), "orders", &body).await?;
    Ok(json_of(&view))
}

async fn create_all(app: &App, json: &str, returning: Return) -> Result<CreatedRecords, Error> {
    let request = CreateRecords {
        body: body(json),
        returning,
        errors_max: 10,
    };
    app.commands.create_records(&ctx(), request).await
}

#[tokio::test]
async fn a_record_is_answered_as_it_is_stored() {
    let app = App::new().await;
    let created = create(&app, r#"{"reference": "A", "amount": "2.50"}"#)
        .await
        .unwrap();
    assert_eq!(created["id"], nth_id(1).to_string());
    assert_eq!(
        (&created["version"], &created["data"]["amount"]),
        (&1.into(), &"2.50".into())
    );
    assert_eq!(app.order(nth_id(1)).await, created);
}

#[tokio::test]
async fn every_error_of_a_record_is_found() {
    let app = App::new().await;
    let error = create(&app, r#"{"quantity": "many", "amount": "1.234"}"#)
        .await
        .unwrap_err();
    let Error::Invalid { errors } = error else {
        panic!("{error:?}")
    };
    let mut pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/amount", "/quantity", "/reference"]);
    assert_eq!(app.count("orders").await, 0);
}

#[tokio::test]
async fn a_taken_value_is_named() {
    let app = App::new().await;
    create(&app, r#"{"reference": "A", "code": 1}"#)
        .await
        .unwrap();
    let error = create(&app, r#"{"reference": "B", "code": 1}"#)
        .await
        .unwrap_err();
    let Error::UniqueViolation(violation) = error else {
        panic!("{error:?}")
    };
    assert_eq!(violation.properties, ["code"]);
}

#[tokio::test]
async fn an_envelope_names_its_schema() {
    let app = App::new().await;
    let create = async |json: &'static str| {
        let body = Bytes::from_static(json.as_bytes());
        app.commands.create_record_enveloped(&ctx(), &body).await
    };
    create(r#"{"data": {"reference": "A"}, "schema_name": "orders"}"#)
        .await
        .unwrap();
    for (envelope, place) in [
        (r#"{"data": {"reference": "A"}}"#, "/schema_name"),
        (r#"{"schema_name": "orders"}"#, "/data"),
        (r#"{"schema_name": "orders", "data": []}"#, "/data"),
    ] {
        let error = create(envelope).await.unwrap_err();
        let pointer = match &error {
            Error::Malformed(error) => error.pointer.as_str(),
            Error::Question(problem) => problem.pointer.as_str(),
            other => panic!("{other:?}"),
        };
        assert_eq!(pointer, place, "{error:?}");
    }
    let unknown = create(r#"{"schema_name": "nothing", "data": {}}"#)
        .await
        .unwrap_err();
    assert!(
        matches!(&unknown, Error::SchemaNotFound(name) if name == "nothing"),
        "{unknown:?}"
    );
    assert_eq!(app.count("orders").await, 1);
}

#[tokio::test]
async fn a_list_is_created_whole() {
    let app = App::new().await;
    let list = r#"{"schema_name": "orders", "data": [{"reference": "A"}, {"reference": "B"}]}"#;
    let created = create_all(&app, list, Return::Records).await.unwrap();
    let repeated: usize = created
        .records
        .iter()
        .map(arrow_array::RecordBatch::num_rows)
        .sum();
    assert_eq!((created.created, repeated), (2, 2));
    assert_eq!(app.count("orders").await, 2);
    // The key of the second one is taken.
    let again = r#"{"schema_name": "orders", "data": [{"reference": "C"}, {"reference": "B"}]}"#;
    let error = create_all(&app, again, Return::None).await.unwrap_err();
    let Error::Refused { errors } = error else {
        panic!("{error:?}")
    };
    let places: Vec<_> = errors.iter().map(|e| (e.index, &*e.pointer)).collect();
    assert_eq!(places, [(1, "/reference")]);
    assert_eq!(app.count("orders").await, 2);
}

#[tokio::test]
async fn one_bad_record_stops_the_list() {
    let app = App::new().await;
    let list = r#"{"schema_name": "orders", "data": [{"reference": "A"}, {"quantity": 1.5}]}"#;
    let error = create_all(&app, list, Return::Ids).await.unwrap_err();
    let Error::Invalid { errors } = error else {
        panic!("{error:?}")
    };
    let mut found: Vec<_> = errors
        .iter()
        .map(|e| (e.index, e.pointer.as_str()))
        .collect();
    found.sort_unstable();
    assert_eq!(found, [(1, "/quantity"), (1, "/reference")]);
    assert_eq!(app.count("orders").await, 0);
}

#[tokio::test]
async fn a_list_has_a_limit() {
    let app = App::new().await;
    let records: Vec<_> = (0..6)
        .map(|n| format!(r#"{{"reference": "A-{n}"}}"#))
        .collect();
    let list = |count: usize| {
        let records = records[..count].join(",");
        format!(r#"{{"schema_name": "orders", "data": [{records}]}}"#)
    };
    let error = create_all(&app, &list(6), Return::None).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error:?}");
    assert_eq!(app.count("orders").await, 0);
    assert_eq!(
        create_all(&app, &list(5), Return::None)
            .await
            .unwrap()
            .created,
        5
    );
}
