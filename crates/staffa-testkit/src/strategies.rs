//! Random records and questions that fit a schema, as property-test strategies.
//!
//! Values come mostly from a small pool of edges, so that filters match, sort keys tie and
//! nulls occur.

mod figures;

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use staffa_domain::query::{Comparison, Test};
use staffa_domain::record::{DATE_MAX, DATE_MIN};
use staffa_domain::{
    Field, Filter, PropertyType, RecordId, RecordQuery, SchemaSnapshot, Sort, Timestamp, Value,
};

use crate::conformance::values::edges;

pub(crate) use figures::is_exact;
pub use figures::{Figures, aggregate, summable_row};

/// The most keys of an order.
const KEYS_MAX: usize = 3;

/// A value of a type, never null.
pub fn value(property_type: &PropertyType) -> BoxedStrategy<Value> {
    let known = select(edges(property_type));
    prop_oneof![3 => known, 1 => any_value(property_type)].boxed()
}

fn any_value(property_type: &PropertyType) -> BoxedStrategy<Value> {
    match property_type {
        PropertyType::String => "[ab%_\\\\AZéß😀]{0,4}".prop_map(Value::String).boxed(),
        PropertyType::Integer => (-9_i64..9).prop_map(Value::Integer).boxed(),
        PropertyType::Number => (-9_i32..9)
            .prop_map(|n| Value::Number(f64::from(n) / 4.0))
            .boxed(),
        PropertyType::Decimal(_) => (-9_i128..9).prop_map(Value::Decimal).boxed(),
        PropertyType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        PropertyType::Date => (DATE_MIN..=DATE_MAX).prop_map(Value::Date).boxed(),
        PropertyType::Datetime => (Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros())
            .prop_map(|micros| Value::Datetime(Timestamp::from_micros(micros)))
            .boxed(),
        PropertyType::Uuid => any::<[u8; 16]>()
            .prop_map(|bytes| Value::Uuid(RecordId::from_bytes(bytes)))
            .boxed(),
        PropertyType::Object => (0..9)
            .prop_map(|n| Value::Object(format!("{{\"n\":{n}}}")))
            .boxed(),
        PropertyType::Array(items) => vec(value(items), 0..4).prop_map(Value::Array).boxed(),
    }
}

/// The values of one record; an optional property is null one time in five.
pub fn row(schema: &SchemaSnapshot) -> BoxedStrategy<Vec<Value>> {
    row_of(schema, value)
}

fn row_of(
    schema: &SchemaSnapshot,
    value: impl Fn(&PropertyType) -> BoxedStrategy<Value>,
) -> BoxedStrategy<Vec<Value>> {
    let properties = schema.schema().properties.iter().map(|property| {
        let value = value(&property.property_type);
        if property.required {
            value
        } else {
            prop_oneof![1 => Just(Value::Null), 4 => value].boxed()
        }
    });
    properties.collect::<Vec<_>>().boxed()
}

/// A condition tree over properties and system fields, at most five deep.
pub fn filter(schema: &SchemaSnapshot) -> BoxedStrategy<Filter> {
    condition(schema)
        .prop_recursive(4, 24, 4, |part| {
            prop_oneof![
                vec(part.clone(), 0..4).prop_map(Filter::And),
                vec(part.clone(), 0..4).prop_map(Filter::Or),
                part.prop_map(|part| Filter::Not(Box::new(part))),
            ]
        })
        .boxed()
}

/// One leaf of a condition tree.
pub fn condition(schema: &SchemaSnapshot) -> BoxedStrategy<Filter> {
    let types: Vec<(Field, PropertyType)> = fields(schema)
        .into_iter()
        .map(|field| (field, field.property_type(schema).clone()))
        .collect();
    select(types)
        .prop_flat_map(|(field, kind)| {
            test(&kind).prop_map(move |test| Filter::condition(field, test))
        })
        .boxed()
}

fn fields(schema: &SchemaSnapshot) -> Vec<Field> {
    let system = [
        Field::Id,
        Field::CreatedAt,
        Field::UpdatedAt,
        Field::Version,
    ];
    let properties = (0..schema.schema().properties.len()).map(Field::Property);
    system.into_iter().chain(properties).collect()
}

fn test(kind: &PropertyType) -> BoxedStrategy<Test> {
    match kind {
        PropertyType::Object => Just(Test::IsNull).boxed(),
        PropertyType::Array(items) => {
            prop_oneof![1 => Just(Test::IsNull), 4 => value(items).prop_map(Test::HasItem)].boxed()
        }
        PropertyType::String => prop_oneof![ordered_test(kind), text_test()].boxed(),
        _ => ordered_test(kind),
    }
}

/// How a value may compare with another.
fn comparisons() -> impl Strategy<Value = Comparison> {
    select(vec![
        Comparison::Eq,
        Comparison::Ne,
        Comparison::Gt,
        Comparison::Gte,
        Comparison::Lt,
        Comparison::Lte,
    ])
}

fn ordered_test(kind: &PropertyType) -> BoxedStrategy<Test> {
    prop_oneof![
        4 => (comparisons(), value(kind)).prop_map(|(sign, value)| Test::Compare(sign, value)),
        2 => vec(value(kind), 0..5).prop_map(Test::In),
        2 => (value(kind), value(kind)).prop_map(|(low, high)| Test::Between(low, high)),
        1 => Just(Test::IsNull),
    ]
    .boxed()
}

fn text_test() -> BoxedStrategy<Test> {
    // A pattern is made of whole steps: what a lone `\` at its end means is not defined.
    let steps = select(vec![
        "%", "_", "\\%", "\\_", "\\\\", "a", "A", "z", "é", "😀", "",
    ]);
    let part = || select(vec!["", "a", "A", "z", "%", "_", "\\", "é", "😀", "b\n"]);
    prop_oneof![
        2 => (vec(steps, 0..5), any::<bool>()).prop_map(|(steps, ignore_case)| Test::Like {
            pattern: steps.concat(),
            ignore_case,
        }),
        1 => part().prop_map(|part| Test::Contains(part.to_owned())),
        1 => part().prop_map(|part| Test::StartsWith(part.to_owned())),
        1 => part().prop_map(|part| Test::EndsWith(part.to_owned())),
    ]
    .boxed()
}

/// An order of up to three different keys.
pub fn sort(schema: &SchemaSnapshot) -> BoxedStrategy<Vec<Sort>> {
    let ordered: Vec<Field> = fields(schema)
        .into_iter()
        .filter(|field| field.property_type(schema).is_ordered())
        .collect();
    let most = ordered.len().min(KEYS_MAX);
    // A subsequence keeps the schema's order, so a shuffle follows.
    let keys = subsequence(ordered, 0..=most).prop_shuffle();
    (keys, vec(any::<(bool, bool)>(), most))
        .prop_map(|(keys, directions)| {
            let pairs = keys.into_iter().zip(directions);
            pairs
                .map(|(field, (descending, nulls_first))| Sort {
                    field,
                    descending,
                    nulls_first,
                })
                .collect()
        })
        .boxed()
}

/// A question for records: filter, order, selection, and a piece of the answer.
pub fn query(schema: &Arc<SchemaSnapshot>) -> BoxedStrategy<RecordQuery> {
    let positions: Vec<usize> = (0..schema.schema().properties.len()).collect();
    let most = positions.len();
    let parts = (
        proptest::option::weighted(0.9, filter(schema)),
        sort(schema),
        prop_oneof![3 => Just(0_u64), 1 => 0..9_u64],
        proptest::option::of(0..20_u64),
        proptest::option::of(subsequence(positions, 0..=most)),
    );
    let schema = Arc::clone(schema);
    parts
        .prop_map(move |(filter, sort, offset, limit, select)| RecordQuery {
            schema: Arc::clone(&schema),
            filter,
            sort,
            ordered: true,
            after: None,
            offset,
            limit,
            select,
            bytes_max: None,
        })
        .boxed()
}

/// A place in a list of any length.
pub fn place() -> BoxedStrategy<Index> {
    any::<Index>().boxed()
}
