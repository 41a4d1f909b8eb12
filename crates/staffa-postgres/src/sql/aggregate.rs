//! Figures over groups.

use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, Schema as ArrowSchema};

use staffa_domain::query::{Aggregate, Bucket, DateUnit, Group, Metric, MetricKind};
use staffa_domain::{Field, PropertyType, SchemaSnapshot, Value};

use crate::copy::Param;
use crate::sql::{Params, Query, filter, names};

/// An aggregation: one output a group, then one a metric.
pub(crate) fn aggregate(question: &Aggregate) -> Query {
    let schema = &*question.schema;
    let mut params = Params::default();
    let groups = question
        .group_by
        .iter()
        .map(|group| group_output(schema, group));
    let metrics = question
        .metrics
        .iter()
        .map(|metric| metric_output(schema, metric));
    let (outputs, fields): (Vec<String>, Vec<ArrowField>) = groups.chain(metrics).unzip();
    let count = question.group_by.len();
    let mut sql = format!(
        "SELECT {} FROM {}{}",
        outputs.join(", "),
        names::table(schema),
        filter::clause(schema, question.filter.as_ref(), &mut params),
    );
    if count > 0 {
        sql.push_str(" GROUP BY ");
        sql.push_str(&ordinals(count).join(", "));
    }
    for (index, having) in question.having.iter().enumerate() {
        sql.push_str(if index == 0 { " HAVING " } else { " AND " });
        let metric = &question.metrics[having.metric];
        let value = params.add(operand(schema, metric, &having.value));
        let sign = filter::sign(having.comparison);
        let output = &outputs[count + having.metric];
        sql.push_str(&format!("{output} {sign} {value}"));
    }
    let keys = question.sort.iter().map(|key| {
        let direction = if key.descending { " DESC" } else { "" };
        format!("{}{direction} NULLS LAST", key.output + 1)
    });
    let ties = ordinals(count)
        .into_iter()
        .map(|group| format!("{group} NULLS LAST"));
    let keys: Vec<String> = keys.chain(ties).collect();
    if !keys.is_empty() {
        sql.push_str(" ORDER BY ");
        sql.push_str(&keys.join(", "));
    }
    sql.push_str(&format!(
        " LIMIT {}",
        question.limit.min(i64::MAX.unsigned_abs())
    ));
    Query {
        sql,
        params: params.0,
        layout: Arc::new(ArrowSchema::new(fields)),
    }
}

fn ordinals(count: usize) -> Vec<String> {
    (1..=count).map(|place| place.to_string()).collect()
}

/// The operand of a condition on a metric. A decimal has the scale of the metric's field;
/// every other value says by itself what it is.
fn operand(schema: &SchemaSnapshot, metric: &Metric, value: &Value) -> Param {
    let field = metric.field.map(|field| field.property_type(schema));
    let kind = match value {
        Value::Integer(_) => PropertyType::Integer,
        Value::Number(_) => PropertyType::Number,
        Value::Boolean(_) => PropertyType::Boolean,
        Value::Date(_) => PropertyType::Date,
        Value::Datetime(_) => PropertyType::Datetime,
        Value::Uuid(_) => PropertyType::Uuid,
        Value::Decimal(_) => match field {
            Some(PropertyType::Decimal(size)) => PropertyType::Decimal(*size),
            // A sum of integers is a decimal without a fraction.
            _ => PropertyType::Decimal(staffa_domain::schema::DecimalSize {
                precision: 38,
                scale: 0,
            }),
        },
        _ => PropertyType::String,
    };
    Param::value(value, &kind)
}

fn group_output(schema: &SchemaSnapshot, group: &Group) -> (String, ArrowField) {
    let name = names::field(schema, group.field);
    let source = schema.record_layout().field(group.field.index());
    let kept = || source.clone().with_name(&group.name).with_nullable(true);
    match group.bucket {
        // An expression, since a constant would be taken for the place of an output.
        Bucket::Value => (format!("({name})"), kept()),
        Bucket::Date(unit) => {
            let unit = unit_word(unit);
            let sql = if *source.data_type() == DataType::Date32 {
                format!("date_trunc('{unit}', {name}::timestamp)::date")
            } else {
                format!("date_trunc('{unit}', {name})")
            };
            (sql, kept())
        }
        Bucket::Width(width) => width_output(&name, width, (&group.name, source)),
    }
}

/// `floor(value / width) * width`, in whole numbers where both are whole.
fn width_output(
    name: &str,
    width: f64,
    (output, source): (&str, &ArrowField),
) -> (String, ArrowField) {
    let whole = width.fract() == 0.0;
    let width = format!("{width:?}::float8");
    if *source.data_type() == DataType::Int64 && whole {
        let sql = format!("(floor({name}::numeric / {width}::numeric) * {width}::numeric)::bigint");
        return (sql, ArrowField::new(output, DataType::Int64, true));
    }
    let sql = format!("floor({name}::float8 / {width}) * {width}");
    (sql, ArrowField::new(output, DataType::Float64, true))
}

const fn unit_word(unit: DateUnit) -> &'static str {
    match unit {
        DateUnit::Year => "year",
        DateUnit::Quarter => "quarter",
        DateUnit::Month => "month",
        DateUnit::Week => "week",
        DateUnit::Day => "day",
        DateUnit::Hour => "hour",
        DateUnit::Minute => "minute",
    }
}

fn metric_output(schema: &SchemaSnapshot, metric: &Metric) -> (String, ArrowField) {
    let output = |data_type| ArrowField::new(&metric.name, data_type, true);
    let Some(field) = metric.field else {
        return (
            "count(*)".to_owned(),
            output(DataType::Int64).with_nullable(false),
        );
    };
    let name = names::field(schema, field);
    let double = |sql: String| (sql, output(DataType::Float64));
    match metric.kind {
        MetricKind::Count => (
            format!("count({name})"),
            output(DataType::Int64).with_nullable(false),
        ),
        MetricKind::CountDistinct => (
            format!("count(DISTINCT {name})"),
            output(DataType::Int64).with_nullable(false),
        ),
        MetricKind::Sum => {
            let data_type = match field.property_type(schema) {
                PropertyType::Integer => DataType::Decimal128(38, 0),
                PropertyType::Decimal(size) => DataType::Decimal128(38, size.scale),
                _ => DataType::Float64,
            };
            (format!("sum({name})"), output(data_type))
        }
        MetricKind::Avg => double(format!("sum({name})::float8 / nullif(count({name}), 0)")),
        MetricKind::Min | MetricKind::Max => {
            let source = schema.record_layout().field(field.index());
            let source = source.clone().with_name(&metric.name).with_nullable(true);
            (
                extreme(schema, field, metric.kind == MetricKind::Min),
                source,
            )
        }
        MetricKind::Stddev => double(format!("stddev_samp({name}::float8)")),
        MetricKind::Median => double(percentile(&name, 0.5)),
        MetricKind::Percentile(share) => double(percentile(&name, share)),
    }
}

fn percentile(name: &str, share: f64) -> String {
    format!("percentile_cont({share:?}::float8) WITHIN GROUP (ORDER BY {name}::float8)")
}

/// The smallest or largest value, also for the types of which PostgreSQL has none.
fn extreme(schema: &SchemaSnapshot, field: Field, smallest: bool) -> String {
    let name = names::field(schema, field);
    let word = if smallest { "min" } else { "max" };
    match field.property_type(schema) {
        PropertyType::Boolean if smallest => format!("bool_and({name})"),
        PropertyType::Boolean => format!("bool_or({name})"),
        // The text of a uuid has the order of its bytes.
        PropertyType::Uuid => format!("{word}({name}::text COLLATE \"C\")::uuid"),
        _ => format!("{word}({name})"),
    }
}
