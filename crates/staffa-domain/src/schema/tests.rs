//! What holds together as a schema, and where the rest is wrong.

use crate::schema::{
    DecimalSize, Pattern, Property, PropertyName, PropertyType, Schema, SchemaName, SchemaSnapshot,
    check,
};
use crate::value::Value;

fn property(name: &str, property_type: PropertyType) -> Property {
    Property::new(PropertyName::new(name).unwrap(), property_type)
}

fn schema(properties: Vec<Property>) -> Schema {
    Schema::new(SchemaName::new("things").unwrap(), properties)
}

fn name(text: &str) -> PropertyName {
    PropertyName::new(text).unwrap()
}

fn array(items: PropertyType) -> PropertyType {
    PropertyType::Array(Box::new(items))
}

const fn decimal(precision: u8, scale: i8) -> PropertyType {
    PropertyType::Decimal(DecimalSize { precision, scale })
}

#[track_caller]
fn assert_problems(schema: &Schema, pointers: &[&str]) {
    let problems = check(schema);
    let found: Vec<&str> = problems.iter().map(|p| p.pointer.as_str()).collect();
    assert_eq!(found, pointers, "{problems:?}");
}

/// A schema of one property that a test changes.
fn with(property_type: PropertyType, change: impl FnOnce(&mut Property)) -> Schema {
    let mut property = property("it", property_type);
    change(&mut property);
    schema(vec![property])
}

#[test]
fn one_property_of_each_type_holds_together() {
    let size = decimal(38, 38);
    let types = [
        PropertyType::String,
        PropertyType::Integer,
        PropertyType::Number,
        size.clone(),
        PropertyType::Boolean,
        PropertyType::Date,
        PropertyType::Datetime,
        PropertyType::Uuid,
        PropertyType::Object,
        array(size),
    ];
    let properties = types.into_iter().enumerate();
    let properties = properties.map(|(at, kind)| property(&format!("p{at}"), kind));
    assert_problems(&schema(properties.collect()), &[]);
}

#[test]
fn a_schema_has_between_one_and_a_thousand_properties() {
    assert_problems(&schema(Vec::new()), &["/properties"]);
    let many = |count: usize| {
        let each = |at| property(&format!("p{at}"), PropertyType::Integer);
        schema((0..count).map(each).collect())
    };
    assert_problems(&many(1_000), &[]);
    assert_problems(&many(1_001), &["/properties"]);
}

#[test]
fn names_differ_by_more_than_case() {
    let names = ["Code", "other", "code"].map(|name| property(name, PropertyType::Integer));
    assert_problems(&schema(names.into()), &["/properties/2/name"]);
}

#[test]
fn a_key_names_required_ordered_properties_once() {
    let mut thing = schema(vec![
        property("a", PropertyType::String),
        property("b", PropertyType::Integer),
        property("c", PropertyType::Object),
    ]);
    thing.properties[0].required = true;
    thing.primary_key = vec![name("a")];
    assert_problems(&thing, &[]);
    thing.primary_key = ["a", "a", "b", "c", "d"].map(name).into();
    assert_problems(
        &thing,
        &[
            "/primary_key/1",
            "/primary_key/2",
            "/primary_key/3",
            "/primary_key/4",
        ],
    );
}

#[test]
fn records_are_distributed_by_a_property_there_is() {
    let mut thing = schema(vec![property("a", PropertyType::String)]);
    thing.distributed_by = Some(name("a"));
    assert_problems(&thing, &[]);
    thing.distributed_by = Some(name("b"));
    assert_problems(&thing, &["/distributed_by"]);
}

#[test]
fn only_ordered_properties_are_indexed_or_unique() {
    for kind in [PropertyType::Object, array(PropertyType::String)] {
        let thing = with(kind, |it| {
            it.indexed = true;
            it.unique = true;
        });
        assert_problems(&thing, &["/properties/0/indexed", "/properties/0/unique"]);
    }
}

#[test]
fn append_only_schemas_keep_no_index() {
    let mut thing = with(PropertyType::String, |it| {
        it.indexed = true;
        it.unique = true;
    });
    assert_problems(&thing, &[]);
    thing.append_only = true;
    assert_problems(&thing, &["/properties/0/unique", "/properties/0/indexed"]);
}

#[test]
fn decimals_have_at_most_38_digits_and_no_larger_scale() {
    for kind in [decimal(0, 0), decimal(39, 2), decimal(4, 5), decimal(4, -1)] {
        assert_problems(&with(kind.clone(), |_| ()), &["/properties/0/precision"]);
        assert_problems(&with(array(kind), |_| ()), &["/properties/0/precision"]);
    }
}

#[test]
fn values_have_the_type_of_their_property() {
    let thing = with(PropertyType::Integer, |it| {
        it.constraints.minimum = Some(Value::Number(1.0));
        it.constraints.one_of = vec![Value::Integer(1), Value::String("1".to_owned())];
    });
    assert_problems(&thing, &["/properties/0/minimum", "/properties/0/enum/1"]);
    let thing = with(array(PropertyType::Integer), |it| {
        it.default = Some(Value::Array(vec![Value::Integer(1), Value::Null]));
    });
    assert_problems(&thing, &["/properties/0/default"]);
}

#[test]
fn a_default_keeps_the_rules_of_its_property() {
    let thing = |default: i64| {
        with(PropertyType::Integer, |it| {
            it.constraints.maximum = Some(Value::Integer(9));
            it.default = Some(Value::Integer(default));
        })
    };
    assert_problems(&thing(9), &[]);
    assert_problems(&thing(10), &["/properties/0/default"]);
}

#[test]
fn constraints_that_mean_nothing_for_a_type_are_refused() {
    let every = |it: &mut Property| {
        it.constraints.min_length = Some(1);
        it.constraints.max_length = Some(2);
        it.constraints.pattern = Some(Pattern::new("a").unwrap());
        it.constraints.min_items = Some(1);
        it.constraints.max_items = Some(2);
    };
    let pointer = |key: &str| format!("/properties/0/{key}");
    let lengths = ["min_length", "max_length", "pattern"].map(pointer);
    let items = ["min_items", "max_items"].map(pointer);
    let cases = [
        (PropertyType::String, items.to_vec()),
        (array(PropertyType::Integer), lengths.to_vec()),
        (PropertyType::Integer, [&lengths[..], &items[..]].concat()),
    ];
    for (kind, expected) in cases {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        assert_problems(&with(kind, every), &expected);
    }
}

#[test]
fn texts_booleans_and_uuids_have_no_bounds() {
    let cases = [
        (PropertyType::String, Value::String("a".to_owned())),
        (PropertyType::Boolean, Value::Boolean(true)),
        (
            PropertyType::Uuid,
            Value::Uuid(crate::record::RecordId::from_bytes([1; 16])),
        ),
    ];
    for (kind, bound) in cases {
        let thing = with(kind, |it| it.constraints.minimum = Some(bound));
        assert_problems(&thing, &["/properties/0/minimum"]);
    }
}

#[test]
fn ranges_do_not_cross() {
    let thing = |low: i64, high: i64| {
        with(PropertyType::Integer, |it| {
            it.constraints.minimum = Some(Value::Integer(low));
            it.constraints.maximum = Some(Value::Integer(high));
        })
    };
    assert_problems(&thing(3, 3), &[]);
    assert_problems(&thing(4, 3), &["/properties/0/minimum"]);
    let thing = with(PropertyType::String, |it| {
        it.constraints.min_length = Some(4);
        it.constraints.max_length = Some(3);
    });
    assert_problems(&thing, &["/properties/0/min_length"]);
}

#[test]
fn unique_groups_are_the_key_then_each_property() {
    let mut thing = schema(
        ["a", "b", "c"]
            .map(|name| property(name, PropertyType::Integer))
            .into(),
    );
    thing.properties[1].unique = true;
    thing.primary_key = ["c", "a"].map(name).into();
    assert_eq!(thing.unique_groups(), [vec![2, 0], vec![1]]);
    // A key of one property that is unique by itself is one group, not two.
    thing.primary_key = vec![name("b")];
    assert_eq!(thing.unique_groups(), [vec![1]]);
}

#[test]
fn a_first_version_numbers_its_properties_from_one() {
    let names = ["a", "b"].map(|name| property(name, PropertyType::Integer));
    let snapshot = SchemaSnapshot::first(schema(names.into()));
    let numbers: Vec<u32> = snapshot.property_ids().iter().map(|id| id.0).collect();
    assert_eq!((snapshot.version(), numbers), (1, vec![1, 2]));
    assert_eq!(snapshot.next_property_id(), 3);
    assert_eq!(snapshot.position("b"), Some(1));
    assert_eq!(snapshot.record_layout().fields().len(), 6);
    assert_eq!(snapshot.property_layout().fields().len(), 2);
}
