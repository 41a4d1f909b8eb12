//! Figures over groups.

use std::sync::Arc;

use arrow_array::RecordBatch;

use staffa_domain::ports::Storage;
use staffa_domain::query::{
    Aggregate, Bucket, Comparison, DateUnit, Group, Having, Metric, MetricKind, OutputSort,
    aggregate_layout,
};
use staffa_domain::{SchemaSnapshot, Timestamp, Value};

use crate::arrays::value_by_layout;
use crate::builders::batch;
use crate::conformance::support::{create, create_with, field};
use crate::row;
use crate::schemas::orders;

fn question(schema: &Arc<SchemaSnapshot>) -> Aggregate {
    Aggregate {
        schema: Arc::clone(schema),
        filter: None,
        group_by: Vec::new(),
        metrics: vec![metric(schema, MetricKind::Count, None)],
        having: Vec::new(),
        sort: Vec::new(),
        limit: 1_000,
    }
}

fn metric(schema: &SchemaSnapshot, kind: MetricKind, of: Option<&str>) -> Metric {
    Metric {
        name: format!("{kind:?} of {of:?}"),
        kind,
        field: of.map(|name| field(schema, name)),
    }
}

fn group(schema: &SchemaSnapshot, name: &str, bucket: Bucket) -> Group {
    Group {
        name: format!("by {name}"),
        field: field(schema, name),
        bucket,
    }
}

pub(crate) async fn ask(storage: &Storage, question: &Aggregate) -> Vec<Vec<Value>> {
    let answer: RecordBatch = storage
        .reader
        .aggregate(question.clone())
        .await
        .expect("an answer");
    assert_eq!(
        *answer.schema(),
        aggregate_layout(question),
        "the answer has its layout"
    );
    let row = |row| {
        answer
            .columns()
            .iter()
            .map(|column| value_by_layout(column, row))
            .collect()
    };
    (0..answer.num_rows()).map(row).collect()
}

#[track_caller]
fn assert_close(found: &[Value], expected: &[Value]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        match (found, expected) {
            (Value::Number(found), Value::Number(expected)) => {
                let slack = 1e-9 * expected.abs().max(1.0);
                assert!(
                    (found - expected).abs() <= slack,
                    "{found} is not {expected}"
                );
            }
            _ => assert_eq!(found, expected),
        }
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// Four orders of Ada, one of Bob, one of nobody.
async fn six_orders(storage: &Storage) -> Arc<SchemaSnapshot> {
    let amounts = [100, 250, 250].map(Value::Decimal);
    let [first, second, third] = amounts;
    let rows = vec![
        row! { reference: "1", customer: "Ada", amount: first, quantity: -3, weight: 1.0 },
        row! { reference: "2", customer: "Ada", amount: second, quantity: 4, weight: 2.0 },
        row! { reference: "3", customer: "Ada", amount: third, quantity: 7, weight: 4.5 },
        row! { reference: "4", customer: "Ada" },
        row! { reference: "5", customer: "Bob", quantity: 10, weight: -0.5 },
        row! { reference: "6", quantity: 14 },
    ];
    create_with(storage, batch(&orders(), 0, rows)).await
}

/// Every metric, of groups with values, with one value and with none.
#[expect(clippy::too_many_lines, reason = "one table of metrics")]
pub async fn every_metric_of_a_group(storage: Storage) {
    let schema = six_orders(&storage).await;
    let of = |kind, name| metric(&schema, kind, Some(name));
    let mut asked = question(&schema);
    asked.group_by = vec![group(&schema, "customer", Bucket::Value)];
    asked.metrics.extend([
        of(MetricKind::Count, "amount"),
        of(MetricKind::CountDistinct, "amount"),
        of(MetricKind::Sum, "amount"),
        of(MetricKind::Avg, "amount"),
        of(MetricKind::Sum, "quantity"),
        of(MetricKind::Min, "quantity"),
        of(MetricKind::Max, "reference"),
        of(MetricKind::Sum, "weight"),
        of(MetricKind::Stddev, "weight"),
        of(MetricKind::Median, "weight"),
        of(MetricKind::Percentile(0.25), "weight"),
    ]);
    let found = ask(&storage, &asked).await;
    let (integer, number, decimal) = (Value::Integer, Value::Number, Value::Decimal);
    let null = Value::Null;
    // The weights 1, 2 and 4.5 have the mean 2.5 and the squared deviations 2.25, 0.25 and 4.
    let ada = [
        text("Ada"),
        integer(4),
        integer(3),
        integer(2),
        decimal(600),
        number(2.0),
        decimal(8),
        integer(-3),
        text("4"),
        number(7.5),
        number(3.25_f64.sqrt()),
        number(2.0),
        number(1.5),
    ];
    let bob = [
        text("Bob"),
        integer(1),
        integer(0),
        integer(0),
        null.clone(),
        null.clone(),
        decimal(10),
        integer(10),
        text("5"),
        number(-0.5),
        null.clone(),
        number(-0.5),
        number(-0.5),
    ];
    let nobody = [
        null.clone(),
        integer(1),
        integer(0),
        integer(0),
        null.clone(),
        null.clone(),
        decimal(14),
        integer(14),
        text("6"),
        null.clone(),
        null.clone(),
        null.clone(),
        null,
    ];
    assert_eq!(found.len(), 3);
    for (found, expected) in found.iter().zip([ada, bob, nobody]) {
        assert_close(found, &expected);
    }
}

/// Without groups there is one answer, of nothing too; with groups there is none of nothing.
pub async fn groups_of_nothing(storage: Storage) {
    let schema = orders();
    create(&storage, &schema).await;
    let mut asked = question(&schema);
    asked
        .metrics
        .push(metric(&schema, MetricKind::Sum, Some("quantity")));
    assert_eq!(
        ask(&storage, &asked).await,
        [[Value::Integer(0), Value::Null]]
    );
    asked.group_by = vec![group(&schema, "customer", Bucket::Value)];
    assert_eq!(ask(&storage, &asked).await, Vec::<Vec<Value>>::new());
}

/// Dates and datetimes fall into periods that start where the calendar says, before 1970 too.
pub async fn dates_fall_into_periods(storage: Storage) {
    const DAY: i64 = 86_400_000_000;
    let schema = orders();
    // 2024-02-29T13:45:30.5 was a Thursday; 1969-12-31 a Wednesday.
    let leap = 19_782;
    let moment = Timestamp::from_micros(i64::from(leap) * DAY + 49_530_500_000);
    let rows = vec![
        row! { reference: "1", ordered_on: Value::Date(leap), shipped_at: moment },
        row! { reference: "2", ordered_on: Value::Date(-1), shipped_at: Timestamp::from_micros(-1) },
    ];
    create_with(&storage, batch(&schema, 0, rows)).await;
    let days = [
        (DateUnit::Year, -365, 19_723),
        (DateUnit::Quarter, -92, 19_723),
        (DateUnit::Month, -31, 19_754),
        (DateUnit::Week, -3, 19_779),
        (DateUnit::Day, -1, leap),
    ];
    for (unit, first, second) in days {
        let mut asked = question(&schema);
        let by = |name| group(&schema, name, Bucket::Date(unit));
        asked.group_by = vec![by("ordered_on"), by("shipped_at")];
        let starts = |day: i32| {
            let at = Timestamp::from_micros(i64::from(day) * DAY);
            [Value::Date(day), Value::Datetime(at), Value::Integer(1)]
        };
        assert_eq!(
            ask(&storage, &asked).await,
            [starts(first), starts(second)],
            "{unit:?}"
        );
    }
    for (unit, second, into) in [
        (DateUnit::Hour, -3_600, 46_800),
        (DateUnit::Minute, -60, 49_500),
    ] {
        let mut asked = question(&schema);
        asked.group_by = vec![group(&schema, "shipped_at", Bucket::Date(unit))];
        let starts = [second * 1_000_000, i64::from(leap) * DAY + into * 1_000_000];
        let expected = starts.map(|micros| {
            [
                Value::Datetime(Timestamp::from_micros(micros)),
                Value::Integer(1),
            ]
        });
        assert_eq!(ask(&storage, &asked).await, expected, "{unit:?}");
    }
}

/// Integers and numbers fall into buckets by their floor, below zero too.
pub async fn widths_fall_into_buckets(storage: Storage) {
    let schema = six_orders(&storage).await;
    let mut asked = question(&schema);
    asked.group_by = vec![group(&schema, "quantity", Bucket::Width(5.0))];
    let of = |start: i64, count: i64| vec![Value::Integer(start), Value::Integer(count)];
    let none = vec![Value::Null, Value::Integer(1)];
    let expected = [of(-5, 1), of(0, 1), of(5, 1), of(10, 2), none];
    assert_eq!(ask(&storage, &asked).await, expected);
    asked.group_by = vec![group(&schema, "weight", Bucket::Width(0.5))];
    let of = |start: f64, count: i64| vec![Value::Number(start), Value::Integer(count)];
    let none = vec![Value::Null, Value::Integer(2)];
    let expected = [of(-0.5, 1), of(1.0, 1), of(2.0, 1), of(4.5, 1), none];
    assert_eq!(ask(&storage, &asked).await, expected);
}

/// Groups are kept, ordered and cut by their figures; ties go by the group.
pub async fn having_sort_and_limit(storage: Storage) {
    let schema = six_orders(&storage).await;
    let mut asked = question(&schema);
    asked.group_by = vec![group(&schema, "customer", Bucket::Value)];
    asked.sort = vec![OutputSort {
        output: 1,
        descending: false,
    }];
    let of = |name: Value, count: i64| vec![name, Value::Integer(count)];
    let (ada, bob, nobody) = (of(text("Ada"), 4), of(text("Bob"), 1), of(Value::Null, 1));
    assert_eq!(
        ask(&storage, &asked).await,
        [bob.clone(), nobody.clone(), ada.clone()]
    );
    asked.sort[0].descending = true;
    assert_eq!(
        ask(&storage, &asked).await,
        [ada.clone(), bob.clone(), nobody]
    );
    asked.limit = 2;
    assert_eq!(ask(&storage, &asked).await, [ada.clone(), bob]);
    let comparison = Comparison::Gte;
    asked.having = vec![Having {
        metric: 0,
        comparison,
        value: Value::Integer(2),
    }];
    assert_eq!(ask(&storage, &asked).await, [ada]);
}

/// The sum of the largest integers is exact.
pub async fn sums_of_integers_do_not_overflow(storage: Storage) {
    let schema = orders();
    let rows = (0..3)
        .map(|n| row! { reference: n.to_string(), quantity: i64::MAX })
        .collect();
    create_with(&storage, batch(&schema, 0, rows)).await;
    let mut asked = question(&schema);
    asked.metrics = vec![metric(&schema, MetricKind::Sum, Some("quantity"))];
    let expected = Value::Decimal(i128::from(i64::MAX) * 3);
    assert_eq!(ask(&storage, &asked).await, [[expected]]);
}
