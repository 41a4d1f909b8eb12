//! Random aggregations that fit a schema, and records whose figures every engine can compute.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use staffa_domain::query::{
    Aggregate, Bucket, DateUnit, Group, Having, Metric, MetricKind, OutputSort,
};
use staffa_domain::{Field, PropertyType, SchemaSnapshot, Value};

use super::{any_value, comparisons, fields, filter, row_of, value};

/// The most groups, metrics, conditions and sort keys of a question.
const PARTS_MAX: usize = 3;
/// More than there are records.
const LIMIT_MAX: u64 = 10_000;
const UNITS: [DateUnit; 7] = [
    DateUnit::Year,
    DateUnit::Quarter,
    DateUnit::Month,
    DateUnit::Week,
    DateUnit::Day,
    DateUnit::Hour,
    DateUnit::Minute,
];

/// Which figures are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figures {
    /// Those that any records have: counts and extremes, by values and by dates.
    OfAll,
    /// All there are, of the records of [`summable_row`].
    OfSummable,
}

/// The values of one record, its numbers small: no sum of some hundred is beyond its type, and
/// those of integers and numbers are exact in any order.
pub fn summable_row(schema: &SchemaSnapshot) -> BoxedStrategy<Vec<Value>> {
    row_of(schema, |kind| match kind {
        PropertyType::Integer | PropertyType::Number | PropertyType::Decimal(_) => any_value(kind),
        _ => value(kind),
    })
}

/// A question for figures. Groups are kept and ordered by figures that come out exact alone: a
/// last bit must not decide which groups there are.
pub fn aggregate(schema: &Arc<SchemaSnapshot>, figures: Figures) -> BoxedStrategy<Aggregate> {
    let parts = (
        proptest::option::of(filter(schema)),
        vec(group(schema, figures), 0..=PARTS_MAX),
        vec(metric(schema, figures), 1..=PARTS_MAX),
        prop_oneof![1 => 1..20_u64, 2 => Just(LIMIT_MAX)],
    );
    let schema = Arc::clone(schema);
    parts
        .prop_flat_map(move |(filter, group_by, metrics, limit)| {
            let question = Aggregate {
                schema: Arc::clone(&schema),
                filter,
                group_by,
                metrics,
                having: Vec::new(),
                sort: Vec::new(),
                limit,
            };
            let (having, sort) = (having(&question), sort(&question));
            (Just(question), having, sort).prop_map(|(question, having, sort)| Aggregate {
                having,
                sort,
                ..question
            })
        })
        .boxed()
}

fn ordered_fields(schema: &SchemaSnapshot) -> Vec<(Field, PropertyType)> {
    let fields = fields(schema).into_iter();
    let typed = fields.map(|field| (field, field.property_type(schema).clone()));
    typed.filter(|(_, kind)| kind.is_ordered()).collect()
}

fn group(schema: &SchemaSnapshot, figures: Figures) -> BoxedStrategy<Group> {
    select(ordered_fields(schema))
        .prop_flat_map(move |(field, kind)| {
            bucket(&kind, figures).prop_map(move |bucket| Group {
                name: format!("{field:?} by {bucket:?}"),
                field,
                bucket,
            })
        })
        .boxed()
}

fn bucket(kind: &PropertyType, figures: Figures) -> BoxedStrategy<Bucket> {
    let value = Just(Bucket::Value);
    match kind {
        // A date has no hours.
        PropertyType::Date => {
            prop_oneof![value, select(UNITS[..5].to_vec()).prop_map(Bucket::Date)].boxed()
        }
        PropertyType::Datetime => {
            prop_oneof![value, select(UNITS.to_vec()).prop_map(Bucket::Date)].boxed()
        }
        PropertyType::Integer | PropertyType::Number if figures == Figures::OfSummable => {
            let widths = select(vec![0.1, 0.25, 0.5, 1.0, 2.5, 3.0, 10.0]);
            prop_oneof![value, widths.prop_map(Bucket::Width)].boxed()
        }
        _ => value.boxed(),
    }
}

fn metric(schema: &SchemaSnapshot, figures: Figures) -> BoxedStrategy<Metric> {
    let any = select(fields(schema)).prop_map(|field| (MetricKind::Count, Some(field)));
    let ordered = (
        select(ordered_fields(schema)),
        select(vec![
            MetricKind::CountDistinct,
            MetricKind::Min,
            MetricKind::Max,
        ]),
    );
    let ordered = ordered.prop_map(|((field, _), kind)| (kind, Some(field)));
    let numeric: Vec<Field> = ordered_fields(schema)
        .into_iter()
        .filter(|(_, kind)| {
            matches!(
                kind,
                PropertyType::Integer | PropertyType::Number | PropertyType::Decimal(_)
            )
        })
        .map(|(field, _)| field)
        .collect();
    let share = prop_oneof![select(vec![0.0, 0.25, 0.5, 1.0]), 0.0..=1.0].boxed();
    let numeric = (
        select(numeric),
        prop_oneof![
            2 => Just(MetricKind::Sum),
            2 => Just(MetricKind::Avg),
            1 => Just(MetricKind::Stddev),
            1 => Just(MetricKind::Median),
            2 => share.prop_map(MetricKind::Percentile),
        ],
    );
    let numeric = numeric.prop_map(|(field, kind)| (kind, Some(field)));
    let sums = u32::from(figures == Figures::OfSummable) * 4;
    prop_oneof![
        1 => Just((MetricKind::Count, None)),
        1 => any,
        3 => ordered,
        sums => numeric,
    ]
    .prop_map(|(kind, field)| Metric {
        name: format!("{kind:?} of {field:?}"),
        kind,
        field,
    })
    .boxed()
}

/// Whether every engine computes the same bits, in whatever order it adds: whole numbers and
/// quarters do, decimals as doubles and squares of differences do not.
pub(crate) fn is_exact(schema: &SchemaSnapshot, metric: &Metric) -> bool {
    let is_decimal = metric
        .field
        .is_some_and(|field| matches!(field.property_type(schema), PropertyType::Decimal(_)));
    match metric.kind {
        MetricKind::Stddev | MetricKind::Percentile(_) => false,
        MetricKind::Avg | MetricKind::Median => !is_decimal,
        _ => true,
    }
}

/// The places of the metrics that come out exact.
fn exact(question: &Aggregate) -> Vec<usize> {
    let metrics = question.metrics.iter().enumerate();
    let exact = metrics.filter(|(_, metric)| is_exact(&question.schema, metric));
    exact.map(|(place, _)| place).collect()
}

fn having(question: &Aggregate) -> BoxedStrategy<Vec<Having>> {
    let metrics = exact(question);
    if metrics.is_empty() {
        return Just(Vec::new()).boxed();
    }
    let operands: Vec<(usize, BoxedStrategy<Value>)> = metrics
        .into_iter()
        .map(|place| (place, operand(&question.schema, &question.metrics[place])))
        .collect();
    let one = (any::<Index>(), comparisons()).prop_flat_map(move |(at, comparison)| {
        let (metric, operand) = at.get(&operands).clone();
        operand.prop_map(move |value| Having {
            metric,
            comparison,
            value,
        })
    });
    prop_oneof![3 => Just(Vec::new()).boxed(), 1 => vec(one, 1..3).boxed()].boxed()
}

/// What a figure may be compared with, of the type as which the wire would read it.
fn operand(schema: &SchemaSnapshot, metric: &Metric) -> BoxedStrategy<Value> {
    let kind = metric.field.map(|field| field.property_type(schema));
    match (metric.kind, kind) {
        (MetricKind::Min | MetricKind::Max, Some(kind)) => value(kind),
        (MetricKind::Sum, Some(kind)) => any_value(kind),
        (MetricKind::Avg | MetricKind::Median, _) => any_value(&PropertyType::Number),
        _ => (0..6_i64).prop_map(Value::Integer).boxed(),
    }
}

fn sort(question: &Aggregate) -> BoxedStrategy<Vec<OutputSort>> {
    let groups = question.group_by.len();
    let metrics = exact(question).into_iter().map(|place| groups + place);
    let outputs: Vec<usize> = (0..groups).chain(metrics).collect();
    if outputs.is_empty() {
        return Just(Vec::new()).boxed();
    }
    let key = (select(outputs), any::<bool>())
        .prop_map(|(output, descending)| OutputSort { output, descending });
    vec(key, 0..=PARTS_MAX).boxed()
}
