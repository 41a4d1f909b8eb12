//! Of which Arrow types an aggregation's answer is made, the same on every engine.

use arrow_schema::{DataType, Field as ArrowField, Schema};

use crate::query::{Aggregate, Bucket, Group, Metric, MetricKind};
use crate::schema::PropertyType;

/// The Arrow schema of an aggregation's answer: one field a group, then one a metric.
///
/// - A group by value has its field's type; by date unit, `Date32` for a date and a
///   timestamp for a datetime; by width, `Int64` for an integer with a whole width, else
///   `Float64`.
/// - `count` and `count_distinct` are `Int64`; `min` and `max` have their field's type;
///   `sum` is `Decimal128(38, 0)` for integers, which cannot overflow then,
///   `Decimal128(38, scale)` for decimals and `Float64` for numbers; the rest is `Float64`.
///
/// All are nullable but the counts.
pub fn aggregate_layout(question: &Aggregate) -> Schema {
    let groups = question
        .group_by
        .iter()
        .map(|group| group_field(question, group));
    let metrics = question
        .metrics
        .iter()
        .map(|metric| metric_field(question, metric));
    Schema::new(groups.chain(metrics).collect::<Vec<_>>())
}

fn group_field(question: &Aggregate, group: &Group) -> ArrowField {
    let layout = question.schema.record_layout();
    let field = layout.field(group.field.index());
    let data_type = match group.bucket {
        Bucket::Value | Bucket::Date(_) => {
            return field.clone().with_name(&group.name).with_nullable(true);
        }
        Bucket::Width(width) => match field.data_type() {
            DataType::Int64 if width.fract() == 0.0 => DataType::Int64,
            _ => DataType::Float64,
        },
    };
    ArrowField::new(&group.name, data_type, true)
}

fn metric_field(question: &Aggregate, metric: &Metric) -> ArrowField {
    let layout = question.schema.record_layout();
    let of_type = |data_type: DataType| ArrowField::new(&metric.name, data_type, true);
    // Only a count has no field: it counts records.
    let Some(field) = metric.field else {
        return of_type(DataType::Int64).with_nullable(false);
    };
    match metric.kind {
        MetricKind::Count | MetricKind::CountDistinct => {
            of_type(DataType::Int64).with_nullable(false)
        }
        MetricKind::Min | MetricKind::Max => {
            let source = layout.field(field.index()).clone();
            source.with_name(&metric.name).with_nullable(true)
        }
        MetricKind::Sum => of_type(match field.property_type(&question.schema) {
            PropertyType::Integer => DataType::Decimal128(38, 0),
            PropertyType::Decimal(size) => DataType::Decimal128(38, size.scale),
            _ => DataType::Float64,
        }),
        MetricKind::Avg | MetricKind::Stddev | MetricKind::Median | MetricKind::Percentile(_) => {
            of_type(DataType::Float64)
        }
    }
}
