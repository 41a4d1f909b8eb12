//! Which steps lie between two declarations, and what stands in their way.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use super::{
    Blocks, Constraint, ConstraintKey, Incompatible, Step, StepClass, Transition, convert,
    next_version, plan,
};
use crate::batch::id_array;
use crate::error::RecordErrorCode;
use crate::record::{RecordId, Timestamp};
use crate::schema::{
    DecimalSize, Property, PropertyName, PropertyType, Schema, SchemaName, SchemaSnapshot,
    UnknownProperties,
};
use crate::value::Value;

fn name(text: &str) -> PropertyName {
    PropertyName::new(text).unwrap()
}

fn property(text: &str, property_type: PropertyType) -> Property {
    Property::new(name(text), property_type)
}

/// A text `a` and an integer `b`.
fn things() -> Schema {
    Schema::new(
        SchemaName::new("things").unwrap(),
        vec![
            property("a", PropertyType::String),
            property("b", PropertyType::Integer),
        ],
    )
}

const fn decimal(precision: u8, scale: i8) -> PropertyType {
    PropertyType::Decimal(DecimalSize { precision, scale })
}

fn changed(change: impl FnOnce(&mut Schema)) -> Schema {
    let mut schema = things();
    change(&mut schema);
    schema
}

/// The words of the steps from `from` to `to`, which must lead there.
#[track_caller]
fn words(from: &Schema, to: &Schema) -> Vec<&'static str> {
    let plan = plan(from, to).unwrap();
    let mut end = to.clone();
    for property in &mut end.properties {
        property.renamed_from = None;
    }
    assert_eq!(plan.apply_to(from), end);
    plan.steps().iter().map(Step::word).collect()
}

#[track_caller]
fn check(change: impl FnOnce(&mut Schema), expected: &[(&str, StepClass)]) {
    let to = changed(change);
    let plan = plan(&things(), &to).unwrap();
    let found: Vec<_> = plan
        .steps()
        .iter()
        .map(|step| (step.word(), step.class()))
        .collect();
    assert_eq!(found, expected, "{plan:?}");
    words(&things(), &to);
}

#[test]
fn a_schema_is_what_it_is() {
    assert_eq!(words(&things(), &things()), [""; 0]);
}

#[test]
fn each_change_is_a_step_of_its_class() {
    use StepClass::{Destructive, Instant, Rewrite, Scan};
    check(
        |s| s.properties[0].required = true,
        &[("set_required", Scan)],
    );
    check(|s| s.properties[0].indexed = true, &[("add_index", Scan)]);
    check(|s| s.properties[0].unique = true, &[("add_unique", Scan)]);
    check(
        |s| s.properties[1].default = Some(Value::Integer(1)),
        &[("set_default", Instant)],
    );
    check(
        |s| s.properties[0].constraints.max_length = Some(9),
        &[("add_constraint", Scan)],
    );
    check(
        |s| s.properties[1].property_type = decimal(21, 2),
        &[("widen_type", Rewrite)],
    );
    check(
        |s| s.properties[1].property_type = decimal(4, 2),
        &[("narrow_type", Rewrite)],
    );
    check(
        |s| s.properties[1].property_type = PropertyType::Number,
        &[("widen_type", Rewrite)],
    );
    check(
        |s| drop(s.properties.remove(1)),
        &[("drop_property", Destructive)],
    );
    check(
        |s| s.append_only = true,
        &[("set_append_only", Destructive)],
    );
    check(
        |s| s.description = Some("words".to_owned()),
        &[("set_description", Instant)],
    );
    check(
        |s| s.properties.reverse(),
        &[("reorder_properties", Instant)],
    );
    check(
        |s| s.unknown_properties = UnknownProperties::Ignore,
        &[("set_unknown_properties", Instant)],
    );
}

#[test]
fn an_added_property_costs_what_it_asks_of_records_there_are() {
    let added = |change: fn(&mut Property)| {
        move |schema: &mut Schema| {
            let mut c = property("c", PropertyType::Integer);
            change(&mut c);
            schema.properties.insert(1, c);
        }
    };
    check(added(|_| ()), &[("add_property", StepClass::Instant)]);
    check(
        added(|c| {
            c.required = true;
            c.default = Some(Value::Integer(0));
        }),
        &[("add_property", StepClass::Instant)],
    );
    let changes: [fn(&mut Property); 2] = [|c| c.required = true, |c| c.indexed = true];
    for change in changes {
        check(added(change), &[("add_property", StepClass::Scan)]);
    }
}

#[test]
fn what_is_undone_is_instant() {
    let from = changed(|s| {
        s.properties[0].required = true;
        s.properties[0].unique = true;
        s.properties[1].indexed = true;
        s.properties[0].constraints.max_length = Some(9);
        s.properties[1].constraints.minimum = Some(Value::Integer(3));
        s.primary_key = vec![name("a")];
    });
    let plan = plan(&from, &things()).unwrap();
    assert_eq!(
        words(&from, &things()),
        [
            "drop_constraint",
            "drop_required",
            "drop_unique",
            "drop_constraint",
            "drop_index",
            "set_primary_key"
        ]
    );
    assert_eq!(plan.class(), StepClass::Instant);
    assert_eq!(plan.blocks(), Blocks::Nothing);
    assert!(plan.steps().iter().all(|step| step.records(1_000) == 0));
}

#[test]
fn a_longer_text_is_a_wider_type() {
    let limited = |most| changed(|s| s.properties[0].constraints.max_length = Some(most));
    let plan = plan(&limited(5), &limited(9)).unwrap();
    assert_eq!(words(&limited(5), &limited(9)), ["widen_type"]);
    assert_eq!(plan.class(), StepClass::Instant);
    assert_eq!(words(&limited(9), &limited(5)), ["add_constraint"]);
}

#[test]
fn a_renamed_property_is_the_same_one_once() {
    let to = changed(|s| {
        s.properties[0].name = name("z");
        s.properties[0].renamed_from = Some(name("a"));
    });
    assert_eq!(words(&things(), &to), ["rename_property"]);
    // The document is carried out again over its own result.
    let done = plan(&things(), &to).unwrap().apply_to(&things());
    assert_eq!(words(&done, &to), [""; 0]);
}

#[test]
fn names_pass_from_one_property_to_the_next() {
    let to = changed(|s| {
        s.properties[1].name = name("c");
        s.properties[1].renamed_from = Some(name("b"));
        s.properties[0].name = name("b");
        s.properties[0].renamed_from = Some(name("a"));
        s.properties.push(property("a", PropertyType::Date));
    });
    let steps = ["rename_property", "rename_property", "add_property"];
    assert_eq!(words(&things(), &to), steps);
    let first = SchemaSnapshot::first(things());
    let plan = plan(&things(), &to).unwrap();
    let next = next_version(&first, &to, &plan);
    let ids: Vec<u32> = next.property_ids().iter().map(|id| id.0).collect();
    assert_eq!((ids, next.next_property_id()), (vec![1, 2, 3], 4));
    assert_eq!(next.version(), 2);
}

#[test]
fn two_properties_cannot_be_one() {
    let to = changed(|s| {
        s.properties[0].name = name("y");
        s.properties[0].renamed_from = Some(name("a"));
        let mut z = property("z", PropertyType::String);
        z.renamed_from = Some(name("a"));
        s.properties.push(z);
    });
    let problems = plan(&things(), &to).unwrap_err();
    assert_eq!(problems[0].pointer, "/properties/2/renamed_from");
}

#[test]
fn types_without_a_way_between_them_are_told() {
    let to = changed(|s| {
        s.properties[0].property_type = PropertyType::Integer;
        s.properties[1].property_type = PropertyType::String;
        s.distributed_by = Some(name("a"));
    });
    let problems = plan(&things(), &to).unwrap_err();
    let places: Vec<&str> = problems.iter().map(|p| p.pointer.as_str()).collect();
    let expected = [
        "/properties/0/type",
        "/properties/1/type",
        "/distributed_by",
    ];
    assert_eq!(places, expected);
}

#[test]
fn constraints_follow_a_type() {
    let from = changed(|s| s.properties[1].constraints.minimum = Some(Value::Integer(3)));
    let to = changed(|s| {
        s.properties[1].property_type = decimal(21, 2);
        s.properties[1].constraints.minimum = Some(Value::Decimal(300));
    });
    assert_eq!(words(&from, &to), ["widen_type"]);
    let lower = changed(|s| {
        s.properties[1].property_type = decimal(21, 2);
        s.properties[1].constraints.minimum = Some(Value::Decimal(299));
    });
    assert_eq!(words(&from, &lower), ["widen_type", "drop_constraint"]);
}

#[test]
fn bounds_and_members_are_looser_when_they_allow_more() {
    use super::constraint::is_looser;
    let bound = |v| Some(Constraint::Bound(Value::Integer(v)));
    let members = |of: &[i64]| {
        let values = of.iter().copied().map(Value::Integer);
        Some(Constraint::OneOf(values.collect()))
    };
    let cases = [
        (ConstraintKey::Minimum, bound(3), bound(2), true),
        (ConstraintKey::Minimum, bound(3), bound(4), false),
        (ConstraintKey::Maximum, bound(3), bound(4), true),
        (ConstraintKey::Maximum, None, bound(4), false),
        (ConstraintKey::Maximum, bound(3), None, true),
        (
            ConstraintKey::Enum,
            members(&[1, 2]),
            members(&[2, 3, 1]),
            true,
        ),
        (ConstraintKey::Enum, members(&[1, 2]), members(&[1]), false),
    ];
    for (key, from, to, expected) in cases {
        let found = is_looser(key, from.as_ref(), to.as_ref());
        assert_eq!(found, expected, "{key} from {from:?} to {to:?}");
    }
}

#[test]
fn values_convert_exactly_or_not_at_all() {
    let day = Value::Datetime(Timestamp::from_micros(2 * 86_400_000_000));
    let noon = Value::Datetime(Timestamp::from_micros(86_400_000_000 + 1));
    let integer = PropertyType::Integer;
    let number = PropertyType::Number;
    let cases = [
        (
            Value::Integer(12),
            &integer,
            decimal(4, 2),
            Some(Value::Decimal(1_200)),
        ),
        (Value::Integer(100), &integer, decimal(4, 2), None),
        (
            Value::Integer(1 << 53),
            &integer,
            number.clone(),
            Some(Value::Number(9_007_199_254_740_992.0)),
        ),
        (
            Value::Integer((1 << 53) + 1),
            &integer,
            number.clone(),
            None,
        ),
        (Value::Integer(i64::MAX), &integer, number.clone(), None),
        (
            Value::Number(-3.0),
            &number,
            integer.clone(),
            Some(Value::Integer(-3)),
        ),
        (Value::Number(0.5), &number, integer.clone(), None),
        (Value::Number(9.3e18), &number, integer.clone(), None),
        (
            Value::Decimal(1_250),
            &decimal(6, 2),
            decimal(6, 1),
            Some(Value::Decimal(125)),
        ),
        (Value::Decimal(1_255), &decimal(6, 2), decimal(6, 1), None),
        (
            Value::Decimal(-700),
            &decimal(6, 2),
            integer.clone(),
            Some(Value::Integer(-7)),
        ),
        (
            day.clone(),
            &PropertyType::Datetime,
            PropertyType::Date,
            Some(Value::Date(2)),
        ),
        (noon, &PropertyType::Datetime, PropertyType::Date, None),
        (
            Value::Date(2),
            &PropertyType::Date,
            PropertyType::Datetime,
            Some(day),
        ),
        (Value::Null, &integer, PropertyType::Date, Some(Value::Null)),
    ];
    for (value, from, to, expected) in cases {
        assert_eq!(
            convert(&value, from, &to),
            expected,
            "{value} from {from} to {to}"
        );
    }
}

/// What stands in the way of a change for two records: `("x", 1)` and `(null, 2)`.
fn examined(change: impl FnOnce(&mut Schema)) -> Vec<(String, RecordErrorCode, Option<Value>)> {
    let from = Arc::new(SchemaSnapshot::first(things()));
    let to = changed(change);
    let plan = plan(from.schema(), &to).unwrap();
    let to = Arc::new(next_version(&from, &to, &plan));
    let transition = Transition::between(&from, &to);
    let Some(question) = transition.question() else {
        return Vec::new();
    };
    let ids = [1, 2].map(|n| RecordId::from_bytes([n; 16]));
    let times: ArrayRef = Arc::new(arrow_array::TimestampMicrosecondArray::from(vec![0, 0]));
    let values: [ArrayRef; 2] = [
        Arc::new(StringArray::from(vec![Some("x"), None])),
        Arc::new(Int64Array::from(vec![1, 2])),
    ];
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(id_array(&ids)),
        Arc::clone(&times),
        times,
        Arc::new(Int64Array::from(vec![1, 1])),
    ];
    let selected = question.selected();
    columns.extend(selected.iter().map(|at| Arc::clone(&values[*at])));
    let fields: Vec<usize> = (0..4).chain(selected.iter().map(|at| at + 4)).collect();
    let layout = from.record_layout().project(&fields).unwrap();
    let batch = RecordBatch::try_new(Arc::new(layout), columns).unwrap();
    let mut findings = Incompatible::default();
    transition.examine(&batch, &mut findings);
    let examples = findings.examples.into_iter();
    examples.map(|e| (e.property, e.code, e.value)).collect()
}

#[test]
fn values_in_the_way_are_found() {
    let told = |name: &str, code, value| vec![(name.to_owned(), code, value)];
    assert_eq!(
        examined(|s| s.properties[0].required = true),
        told("a", RecordErrorCode::Required, None)
    );
    assert_eq!(
        examined(|s| s.properties[1].constraints.minimum = Some(Value::Integer(2))),
        told("b", RecordErrorCode::BelowMinimum, Some(Value::Integer(1)))
    );
    assert_eq!(
        examined(|s| {
            s.properties[1].property_type = decimal(2, 2);
            s.properties[1].constraints.minimum = Some(Value::Decimal(0));
        })
        .len(),
        2
    );
    let added = examined(|s| {
        let mut c = property("c", PropertyType::Integer);
        c.required = true;
        s.properties.push(c);
    });
    assert_eq!(added.len(), 2, "{added:?}");
    assert_eq!(
        examined(|s| s.properties[1].property_type = decimal(30, 2)),
        []
    );
}

#[test]
fn new_unique_groups_are_asked_about_by_their_old_places() {
    let from = Arc::new(SchemaSnapshot::first(things()));
    let questions = |to: Schema| {
        let plan = plan(from.schema(), &to).unwrap();
        let to = Arc::new(next_version(&from, &to, &plan));
        Transition::between(&from, &to).new_unique_groups()
    };
    let found = questions(changed(|s| {
        s.properties.reverse();
        s.properties[0].unique = true;
    }));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0].positions, &found[0].names),
        (&vec![1], &vec!["b".to_owned()])
    );
    // Nulls never collide; one default in all records does.
    let with = |default| {
        questions(changed(|s| {
            let mut c = property("c", PropertyType::Integer);
            c.unique = true;
            c.default = default;
            s.properties.push(c);
        }))
    };
    assert_eq!(with(None), []);
    assert_eq!(with(Some(Value::Integer(1)))[0].positions, [0; 0]);
}
