//! Figures over groups, computed from lists of values by their definitions.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::RecordBatchOptions;

use staffa_domain::query::{
    Aggregate, Bucket, Group, Having, Metric, MetricKind, aggregate_layout,
};
use staffa_domain::{Field, PropertyType, SchemaSnapshot, Timestamp, Value};

use super::calendar::{day_start, period_start};
use crate::arrays::array_of;
use crate::eval::{compares, order_values};
use crate::record::Record;

/// Answers a question over the records that matched its filter.
pub(super) fn answer<'a>(
    question: &Aggregate,
    records: impl Iterator<Item = &'a Record>,
) -> RecordBatch {
    let mut outputs: Vec<Vec<Value>> = grouped(question, records)
        .into_iter()
        .map(|(mut group, members)| {
            let metrics = question.metrics.iter();
            group.extend(metrics.map(|metric| figure(&question.schema, metric, &members)));
            group
        })
        .filter(|output| {
            question
                .having
                .iter()
                .all(|having| keeps(question, having, output))
        })
        .collect();
    outputs.sort_by(|left, right| order_outputs(question, left, right));
    outputs.truncate(usize::try_from(question.limit).unwrap_or(usize::MAX));
    let layout = Arc::new(aggregate_layout(question));
    let columns = layout.fields().iter().enumerate().map(|(at, field)| {
        let values: Vec<Value> = outputs.iter().map(|output| output[at].clone()).collect();
        array_of(field.data_type(), &values)
    });
    let columns = columns.collect();
    let options = RecordBatchOptions::new().with_row_count(Some(outputs.len()));
    RecordBatch::try_new_with_options(layout, columns, &options)
        .expect("each output has the layout's types")
}

fn grouped<'a>(
    question: &Aggregate,
    records: impl Iterator<Item = &'a Record>,
) -> Vec<(Vec<Value>, Vec<&'a Record>)> {
    let mut pairs: Vec<(Vec<Value>, &Record)> = records
        .map(|record| {
            let groups = question.group_by.iter();
            (
                groups
                    .map(|group| group_value(group, &record.field(group.field)))
                    .collect(),
                record,
            )
        })
        .collect();
    pairs.sort_by(|(left, _), (right, _)| order_groups(left, right));
    let mut groups: Vec<(Vec<Value>, Vec<&Record>)> = Vec::new();
    if question.group_by.is_empty() {
        groups.push((Vec::new(), Vec::new()));
    }
    for (group, record) in pairs {
        match groups.last_mut() {
            Some((last, members)) if order_groups(last, &group).is_eq() => members.push(record),
            _ => groups.push((group, vec![record])),
        }
    }
    groups
}

fn order_groups(left: &[Value], right: &[Value]) -> Ordering {
    let pairs = left.iter().zip(right);
    pairs.fold(Ordering::Equal, |so_far, (left, right)| {
        so_far.then_with(|| order_values(left, right, false, false))
    })
}

fn order_outputs(question: &Aggregate, left: &[Value], right: &[Value]) -> Ordering {
    for key in &question.sort {
        let (left, right) = (&left[key.output], &right[key.output]);
        let ordering = order_values(left, right, key.descending, false);
        if ordering.is_ne() {
            return ordering;
        }
    }
    let groups = question.group_by.len();
    order_groups(&left[..groups], &right[..groups])
}

fn keeps(question: &Aggregate, having: &Having, output: &[Value]) -> bool {
    let value = &output[question.group_by.len() + having.metric];
    if value.is_null() {
        return false;
    }
    // A sum of integers is a decimal without a fraction: an integer compares with it.
    let operand = match (value, &having.value) {
        (Value::Decimal(_), Value::Integer(operand)) => Value::Decimal(i128::from(*operand)),
        (_, operand) => operand.clone(),
    };
    compares(having.comparison, value, &operand)
}

fn group_value(group: &Group, value: &Value) -> Value {
    match (group.bucket, value) {
        (Bucket::Date(unit), Value::Date(day)) => {
            let start = day_start(i64::from(*day), unit);
            Value::Date(i32::try_from(start).unwrap_or(i32::MIN))
        }
        (Bucket::Date(unit), Value::Datetime(at)) => {
            Value::Datetime(Timestamp::from_micros(period_start(at.as_micros(), unit)))
        }
        (Bucket::Width(width), Value::Number(value)) => Value::Number(floor_to(*value, width)),
        (Bucket::Width(width), Value::Integer(value)) => integer_bucket(*value, width),
        _ => value.clone(),
    }
}

fn floor_to(value: f64, width: f64) -> f64 {
    (value / width).floor() * width
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a whole width is exact below 2^53, and a fractional one makes doubles anyway"
)]
fn integer_bucket(value: i64, width: f64) -> Value {
    if width.fract() == 0.0 {
        let whole = width as i64;
        Value::Integer(value.div_euclid(whole) * whole)
    } else {
        Value::Number(floor_to(value as f64, width))
    }
}

fn figure(schema: &SchemaSnapshot, metric: &Metric, members: &[&Record]) -> Value {
    let Some(field) = metric.field else {
        return integer(members.len());
    };
    let mut values: Vec<Value> = members
        .iter()
        .map(|record| record.field(field))
        .filter(|value| !value.is_null())
        .collect();
    values.sort_by(|left, right| left.compare(right).unwrap_or(Ordering::Equal));
    match metric.kind {
        MetricKind::Count => integer(values.len()),
        MetricKind::CountDistinct => {
            values.dedup_by(|left, right| left.compare(right) == Some(Ordering::Equal));
            integer(values.len())
        }
        MetricKind::Min => values.first().cloned().unwrap_or(Value::Null),
        MetricKind::Max => values.last().cloned().unwrap_or(Value::Null),
        MetricKind::Sum => sum(&values),
        MetricKind::Avg => number(mean(&doubles(schema, field, &values))),
        MetricKind::Stddev => number(deviation(&doubles(schema, field, &values))),
        MetricKind::Median => number(quantile(&doubles(schema, field, &values), 0.5)),
        MetricKind::Percentile(share) => number(quantile(&doubles(schema, field, &values), share)),
    }
}

fn integer(count: usize) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

fn number(value: Option<f64>) -> Value {
    value.map_or(Value::Null, Value::Number)
}

fn sum(values: &[Value]) -> Value {
    let mut exact: i128 = 0;
    let mut double: f64 = 0.0;
    for value in values {
        match value {
            Value::Integer(value) => exact += i128::from(*value),
            Value::Decimal(value) => exact += value,
            Value::Number(value) => double += value,
            _ => {}
        }
    }
    match values.first() {
        None => Value::Null,
        Some(Value::Number(_)) => Value::Number(double),
        Some(_) => Value::Decimal(exact),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "these figures are doubles by contract"
)]
fn doubles(schema: &SchemaSnapshot, field: Field, values: &[Value]) -> Vec<f64> {
    let scale = match field.property_type(schema) {
        PropertyType::Decimal(size) => 10_f64.powi(i32::from(size.scale)),
        _ => 1.0,
    };
    let double = |value: &Value| match value {
        Value::Integer(value) => *value as f64,
        Value::Number(value) => *value,
        Value::Decimal(value) => *value as f64 / scale,
        _ => f64::NAN,
    };
    values.iter().map(double).collect()
}

#[expect(clippy::cast_precision_loss, reason = "no test holds 2^53 records")]
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[expect(clippy::cast_precision_loss, reason = "no test holds 2^53 records")]
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// The value at a share of the way through sorted values, interpolated between neighbours.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between zero and one stays within the list"
)]
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let low = sorted[place.floor() as usize];
    let high = sorted[place.ceil() as usize];
    Some(low + (high - low) * place.fract())
}
