//! Of which Arrow types an aggregation's answer is made, the same on every engine.

use arrow_schema::{DataType, Field as ArrowField, Schema};

use staffa_domain::PropertyType;
use staffa_domain::query::{Aggregate, Bucket, Group, Metric, MetricKind};

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
    let source = metric.field.map(|field| layout.field(field.index()));
    let of_type = |data_type: DataType| ArrowField::new(&metric.name, data_type, true);
    match metric.kind {
        MetricKind::Count | MetricKind::CountDistinct => {
            ArrowField::new(&metric.name, DataType::Int64, false)
        }
        MetricKind::Min | MetricKind::Max => match source {
            Some(field) => field.clone().with_name(&metric.name).with_nullable(true),
            None => of_type(DataType::Null),
        },
        MetricKind::Sum => {
            let property = metric
                .field
                .map(|field| field.property_type(&question.schema));
            of_type(match property {
                Some(PropertyType::Integer) => DataType::Decimal128(38, 0),
                Some(PropertyType::Decimal(size)) => DataType::Decimal128(38, size.scale),
                _ => DataType::Float64,
            })
        }
        MetricKind::Avg | MetricKind::Stddev | MetricKind::Median | MetricKind::Percentile(_) => {
            of_type(DataType::Float64)
        }
    }
}
