//! Values: every one comes back as it went in, to the last bit.

use std::sync::Arc;

use staffa_domain::ports::Storage;
use staffa_domain::record::{DATE_MAX, DATE_MIN};
use staffa_domain::{Operation, PropertyType, RecordId, SchemaSnapshot, Timestamp, Value};

use crate::builders::{batch, numbered, valid};
use crate::conformance::support::{all, assert_identical, create, create_with, execute};
use crate::record::records_of;
use crate::schemas::{all_types, orders};
use crate::{nth_id, row};

/// Values of a type at and around its edges, in ascending order.
pub(crate) fn edges(property_type: &PropertyType) -> Vec<Value> {
    match property_type {
        PropertyType::String => texts(),
        PropertyType::Integer => [i64::MIN, -(1 << 53) - 1, -1, 0, 1, (1 << 53) + 1, i64::MAX]
            .map(Value::Integer)
            .into(),
        PropertyType::Number => numbers(),
        PropertyType::Decimal(size) => {
            let most = 10_i128.pow(u32::from(size.precision)) - 1;
            let all = [-most, -10_000_000_000, -1, 0, 1, 12_345_678_901, most];
            let fitting = all.into_iter().filter(|value| value.abs() <= most);
            fitting.map(Value::Decimal).collect()
        }
        PropertyType::Boolean => vec![Value::Boolean(false), Value::Boolean(true)],
        PropertyType::Date => [DATE_MIN, -1, 0, 11_016, 20_454, DATE_MAX]
            .map(Value::Date)
            .into(),
        PropertyType::Datetime => {
            let micros = [-1, 0, 1, 1_767_225_600_123_456].map(Timestamp::from_micros);
            let all = [Timestamp::MIN]
                .into_iter()
                .chain(micros)
                .chain([Timestamp::MAX]);
            all.map(Value::Datetime).collect()
        }
        PropertyType::Uuid => [[0; 16], [0x7f; 16], [0x80; 16], [0xff; 16]]
            .map(|bytes| Value::Uuid(RecordId::from_bytes(bytes)))
            .into(),
        PropertyType::Object => objects(),
        PropertyType::Array(items) => {
            let edges = edges(items);
            vec![
                Value::Array(Vec::new()),
                Value::Array(edges[..1].to_vec()),
                Value::Array(edges),
            ]
        }
    }
}

fn texts() -> Vec<Value> {
    // By code point: the last two would change places by UTF-16 unit.
    let texts = [
        "",
        " ",
        "%_\\",
        "A",
        "Z",
        "a",
        "a\u{301}",
        "line\nbreak",
        "zz",
        "é",
        "ß",
        "日本",
        "\u{ffff}",
        "\u{1f600}",
    ];
    let mut texts = texts.map(str::to_owned).to_vec();
    texts.sort();
    texts.into_iter().map(Value::String).collect()
}

fn numbers() -> Vec<Value> {
    [
        f64::MIN,
        -1.5,
        -f64::from_bits(1),
        -0.0,
        f64::from_bits(1),
        f64::MIN_POSITIVE,
        0.1,
        1e21,
        f64::MAX,
    ]
    .map(Value::Number)
    .into()
}

fn objects() -> Vec<Value> {
    [
        "{}",
        r#"{"a":1}"#,
        r#"{"a":{"b":[1,null,true,"x \" \\ é"]}}"#,
    ]
    .map(|text| Value::Object(text.to_owned()))
    .into()
}

/// Records that hold every edge of every type, and one of nulls alone.
pub(super) fn edge_rows(schema: &SchemaSnapshot) -> Vec<Vec<Value>> {
    let properties = &schema.schema().properties;
    let edges: Vec<Vec<Value>> = properties.iter().map(|p| edges(&p.property_type)).collect();
    let most = edges.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| {
        edges
            .iter()
            .map(|e| e.get(at).cloned().unwrap_or(Value::Null))
            .collect()
    };
    (0..=most).map(row).collect()
}

/// Every edge of every type comes back, through a session and through operations.
pub async fn every_value_comes_back_to_the_bit(storage: Storage) {
    let schema = all_types();
    let rows = edge_rows(&schema);
    let first = numbered(&schema, 0, &rows);
    let second = numbered(&schema, 100, &rows);
    let mut expected = records_of(&schema, first.records());
    expected.extend(records_of(&schema, second.records()));
    create_with(&storage, first).await;
    execute(&storage, vec![Operation::Create(second)])
        .await
        .expect("new records");
    assert_identical(&all(&storage, &schema).await, &expected);
}

/// Every edge of every type comes back from a replace.
pub async fn every_value_survives_a_replace(storage: Storage) {
    let schema = all_types();
    let rows = edge_rows(&schema);
    create_with(
        &storage,
        batch(&schema, 0, rows.iter().map(|_| row! {}).collect()),
    )
    .await;
    let mut expected = Vec::new();
    let mut operations = Vec::new();
    for (n, row) in rows.into_iter().enumerate() {
        let created = crate::builders::CREATED;
        let later = Timestamp::from_micros(created.as_micros() + 1);
        let next = valid(&schema, &[row], 0).stamp_next(nth_id(n as u64), created, later, 2);
        expected.extend(records_of(&schema, next.records()));
        operations.push(Operation::Replace {
            batch: next,
            expected: 1,
        });
    }
    execute(&storage, operations)
        .await
        .expect("replaced records");
    assert_identical(&all(&storage, &schema).await, &expected);
}

/// A schema with a key, unique and indexed properties gives back what it took.
pub async fn required_and_optional_properties_come_back(storage: Storage) {
    let schema: Arc<SchemaSnapshot> = orders();
    create(&storage, &schema).await;
    let full = row! {
        reference: "A-1", code: 7, customer: "Ada", amount: Value::Decimal(1_999), quantity: 3,
        weight: 0.25, paid: true, ordered_on: Value::Date(20_000),
        shipped_at: Timestamp::from_micros(1), tags: vec![Value::String("x".to_owned())],
        extra: Value::Object("{}".to_owned()),
    };
    let batch = batch(&schema, 0, vec![full, row! { reference: "A-2" }]);
    let expected = records_of(&schema, batch.records());
    execute(&storage, vec![Operation::Create(batch)])
        .await
        .expect("new records");
    assert_identical(&all(&storage, &schema).await, &expected);
}
