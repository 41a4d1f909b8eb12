//! Reads whose schema was changed by another server: done again by the version it has now.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::RecordBatch;
use async_trait::async_trait;
use http::StatusCode;
use staffa_app::Limits;
use staffa_domain::ports::{RecordReader, RecordStream};
use staffa_domain::query::Aggregate;
use staffa_domain::{Count, Filter, RecordId, RecordQuery, SchemaSnapshot, StorageError};
use staffa_testkit::MemoryEngine;

use crate::app::{Answer, App, id};

/// Other places for all properties, a new one in front, and most of them gone.
const MOVED: &str = "name: orders
primary_key: [reference]
properties:
  - {name: note, type: string, default: none yet}
  - {name: reference, type: string, required: true}
  - {name: quantity, type: integer}
";

/// A server with three orders that does not know that another one moved the schema.
async fn outdated() -> App {
    let storage = MemoryEngine::open();
    let app = App::over(storage.clone(), |_| ())
        .await
        .with_orders(3)
        .await;
    let other = App::over(storage, |_| ()).await;
    let path = "/api/v1/schemas/orders?allow_destructive=true";
    let yaml = [("content-type", "application/yaml")];
    let changed = other.call("PUT", path, &yaml, MOVED).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    app
}

/// Every read: its method, what follows the schema in its path, and its body.
fn reads() -> [(&'static str, String, &'static str); 6] {
    let by_filter = r#"{"filters": [{"field": "quantity", "operator": "gte", "value": 2}]}"#;
    let groups = r#"{"group_by": ["reference"], "filters": [{"field": "quantity", "operator": "gte", "value": 2}],
                     "metrics": [{"op": "count"}]}"#;
    [
        (
            "GET",
            "?filter[quantity][gte]=2&sort=-quantity".to_owned(),
            "",
        ),
        ("POST", "/query".to_owned(), by_filter),
        ("GET", "/count?filter[quantity][gte]=2".to_owned(), ""),
        ("POST", "/aggregate".to_owned(), groups),
        ("GET", "/stream?filter[quantity][gte]=2".to_owned(), ""),
        ("GET", format!("/{}", id(2)), ""),
    ]
}

async fn read(app: &App, (method, rest, body): &(&str, String, &'static str)) -> Answer {
    let path = format!(
        "/api/v1/records/orders{}",
        rest.replace('[', "%5B").replace(']', "%5D")
    );
    let json = [("content-type", "application/json")];
    let headers = if body.is_empty() { &json[..0] } else { &json };
    app.call(method, &path, headers, *body).await
}

#[tokio::test]
async fn reads_follow_a_change_of_another_server() {
    for asked in reads() {
        let app = outdated().await;
        let answer = read(&app, &asked).await;
        let told = answer.text();
        assert_eq!(answer.status, StatusCode::OK, "{asked:?}: {told}");
        match asked.1.as_str() {
            "/count?filter[quantity][gte]=2" => assert_eq!(answer.json()["count"], 2, "{told}"),
            "/aggregate" => assert!(told.contains("A-2") && !told.contains("A-1"), "{told}"),
            _ => assert!(
                told.contains("none yet") && !told.contains("customer"),
                "{told}"
            ),
        }
    }
}

#[tokio::test]
async fn a_question_that_the_new_version_cannot_answer_is_its_error() {
    let app = outdated().await;
    let asked = ("GET", "?filter[customer]=x".to_owned(), "");
    let answer = read(&app, &asked).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    assert!(answer.text().contains("customer"), "{}", answer.text());
}

/// A reader before whom every schema has just moved.
#[derive(Debug, Default)]
struct Moving(AtomicUsize);

impl Moving {
    fn moved(&self) -> StorageError {
        self.0.fetch_add(1, Ordering::SeqCst);
        let schema = "orders".to_owned();
        StorageError::SchemaMoved { schema }
    }
}

#[async_trait]
impl RecordReader for Moving {
    async fn get(
        &self,
        _: &Arc<SchemaSnapshot>,
        _: &[RecordId],
    ) -> Result<RecordBatch, StorageError> {
        Err(self.moved())
    }

    async fn scan(&self, _: RecordQuery) -> Result<RecordStream, StorageError> {
        Err(self.moved())
    }

    async fn count(
        &self,
        _: &Arc<SchemaSnapshot>,
        _: Option<&Filter>,
        _: bool,
    ) -> Result<Count, StorageError> {
        Err(self.moved())
    }

    async fn aggregate(&self, _: Aggregate) -> Result<RecordBatch, StorageError> {
        Err(self.moved())
    }

    fn commit_sequence(&self, _: &SchemaSnapshot) -> Option<u64> {
        None
    }

    fn record_sequence(&self, _: &SchemaSnapshot, _: RecordId) -> Option<u64> {
        None
    }
}

#[tokio::test]
async fn a_schema_that_never_rests_ends_the_read() {
    let reader = Arc::new(Moving::default());
    let mut storage = MemoryEngine::open();
    storage.reader = Arc::clone(&reader) as Arc<dyn RecordReader>;
    let app = App::over(storage, |_| ()).await;
    for asked in reads() {
        reader.0.store(0, Ordering::SeqCst);
        let answer = read(&app, &asked).await;
        assert_eq!(
            answer.status,
            StatusCode::CONFLICT,
            "{asked:?}: {}",
            answer.text()
        );
        assert_eq!(answer.code(), "schema_moved");
        assert_eq!(
            reader.0.load(Ordering::SeqCst),
            Limits::default().retries_max + 1,
            "{asked:?}"
        );
    }
}
