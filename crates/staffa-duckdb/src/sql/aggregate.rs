//! Figures over groups, each cast to the type that the answer promises on every engine.

use staffa_domain::query::{Aggregate, Bucket, DateUnit, Group, Metric, MetricKind};
use staffa_domain::{PropertyType, Value};

use super::{Sql, filter, names};
use crate::types::sql_type;

/// The statement of an aggregation.
pub(crate) fn groups(question: &Aggregate) -> Sql {
    let outputs: Vec<String> = outputs(question);
    let mut sql = Sql::new("SELECT * FROM (SELECT ");
    for (index, output) in outputs.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        sql.push(&format!("{comma}{output} AS o{index}"));
    }
    sql.push(&format!(" FROM {}", names::table(&question.schema)));
    filter::push_where(&mut sql, &question.schema, question.filter.as_ref());
    for (index, group) in outputs.iter().take(question.group_by.len()).enumerate() {
        sql.push(if index == 0 { " GROUP BY " } else { ", " });
        sql.push(group);
    }
    sql.push(")");
    push_having(&mut sql, question);
    push_order(&mut sql, question);
    sql.push(&format!(" LIMIT {}", question.limit));
    sql
}

fn outputs(question: &Aggregate) -> Vec<String> {
    let groups = question
        .group_by
        .iter()
        .map(|group| group_expression(question, group));
    let metrics = question
        .metrics
        .iter()
        .map(|metric| metric_expression(question, metric));
    groups.chain(metrics).collect()
}

fn push_having(sql: &mut Sql, question: &Aggregate) {
    for (index, having) in question.having.iter().enumerate() {
        let output = question.group_by.len() + having.metric;
        sql.push(if index == 0 { " WHERE " } else { " AND " });
        sql.push(&format!("o{output}{}", filter::operator(having.comparison)));
        let field = question
            .metrics
            .get(having.metric)
            .and_then(|metric| metric.field);
        let kind = field.map(|field| field.property_type(&question.schema));
        match (&having.value, kind) {
            // The operand of a decimal has the scale of its property.
            (Value::Decimal(_) | Value::Uuid(_), Some(kind)) => sql.bind(&having.value, kind),
            (value, _) => sql.bind(value, &PropertyType::String),
        };
    }
}

fn push_order(sql: &mut Sql, question: &Aggregate) {
    let sorted = question.sort.iter().map(|key| (key.output, key.descending));
    let ties = (0..question.group_by.len()).map(|output| (output, false));
    for (index, (output, descending)) in sorted.chain(ties).enumerate() {
        let start = if index == 0 { " ORDER BY " } else { ", " };
        let direction = if descending { "DESC" } else { "ASC" };
        sql.push(&format!("{start}o{output} {direction} NULLS LAST"));
    }
}

fn group_expression(question: &Aggregate, group: &Group) -> String {
    let column = names::expression(&question.schema, group.field);
    let kind = group.field.property_type(&question.schema);
    match group.bucket {
        Bucket::Value => column,
        Bucket::Date(unit) => {
            let unit = date_unit(unit);
            format!("CAST(date_trunc('{unit}', {column}) AS {})", sql_type(kind))
        }
        Bucket::Width(width) if is_whole(kind, width) => {
            // In 128 bits, so that no value near the limits overflows on the way.
            let wide = format!("{column}::HUGEINT");
            format!("CAST({wide} - (({wide} % {width:.0} + {width:.0}) % {width:.0}) AS BIGINT)")
        }
        Bucket::Width(width) => {
            format!("floor({column}::DOUBLE / {width:e}::DOUBLE) * {width:e}::DOUBLE")
        }
    }
}

fn is_whole(kind: &PropertyType, width: f64) -> bool {
    matches!(kind, PropertyType::Integer) && width.fract() == 0.0
}

const fn date_unit(unit: DateUnit) -> &'static str {
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

fn metric_expression(question: &Aggregate, metric: &Metric) -> String {
    let Some(field) = metric.field else {
        return "count(*)".to_owned();
    };
    let column = names::expression(&question.schema, field);
    match metric.kind {
        MetricKind::Count => format!("count({column})"),
        MetricKind::CountDistinct => format!("count(DISTINCT {column})"),
        MetricKind::Sum => match field.property_type(&question.schema) {
            PropertyType::Integer => format!("CAST(sum({column}) AS DECIMAL(38,0))"),
            PropertyType::Decimal(size) => {
                format!("CAST(sum({column}) AS DECIMAL(38,{}))", size.scale)
            }
            _ => format!("CAST(sum({column}) AS DOUBLE)"),
        },
        MetricKind::Avg => format!("avg({column}::DOUBLE)"),
        MetricKind::Min => format!("min({column})"),
        MetricKind::Max => format!("max({column})"),
        MetricKind::Stddev => format!("stddev_samp({column}::DOUBLE)"),
        MetricKind::Median => format!("quantile_cont({column}::DOUBLE, 0.5)"),
        MetricKind::Percentile(share) => format!("quantile_cont({column}::DOUBLE, {share:?})"),
    }
}
