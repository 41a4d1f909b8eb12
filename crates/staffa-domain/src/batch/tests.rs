//! Validation finds every breach, keeps what holds, and remembers where each record stood.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray, StringArray,
};
use arrow_schema::DataType;

use crate::batch::{
    DecodedBatch, Origin, check_value, record_created_at, record_version, validate,
};
use crate::error::{RecordError, RecordErrorCode};
use crate::record::{RecordId, Timestamp};
use crate::schema::{
    Constraints, DecimalSize, Pattern, Property, PropertyName, PropertyType, Schema, SchemaName,
    SchemaSnapshot,
};
use crate::value::Value;

fn property(name: &str, property_type: PropertyType, constraints: Constraints) -> Property {
    Property {
        constraints,
        ..Property::new(PropertyName::new(name).unwrap(), property_type)
    }
}

fn schema(properties: Vec<Property>) -> Arc<SchemaSnapshot> {
    Arc::new(SchemaSnapshot::first(Schema::new(
        SchemaName::new("things").unwrap(),
        properties,
    )))
}

/// A required `code` from 1 to 9, and a `note` of at most three characters.
fn codes() -> Arc<SchemaSnapshot> {
    let code = Constraints {
        minimum: Some(Value::Integer(1)),
        maximum: Some(Value::Integer(9)),
        ..Constraints::default()
    };
    let note = Constraints {
        max_length: Some(3),
        ..Constraints::default()
    };
    let mut code = property("code", PropertyType::Integer, code);
    code.required = true;
    schema(vec![code, property("note", PropertyType::String, note)])
}

fn decoded(codes_: Vec<Option<i64>>, notes: Vec<Option<&str>>, origin: Origin) -> DecodedBatch {
    DecodedBatch {
        schema: codes(),
        len: codes_.len(),
        properties: vec![
            Arc::new(Int64Array::from(codes_)),
            Arc::new(StringArray::from(notes)),
        ],
        origin,
        given: None,
        errors: Vec::new(),
    }
}

const fn from(first: u64) -> Origin {
    Origin { first, lines: None }
}

fn places(errors: &[RecordError]) -> Vec<(u64, &str, RecordErrorCode)> {
    errors
        .iter()
        .map(|error| (error.index, error.pointer.as_str(), error.code))
        .collect()
}

fn breach(
    property_type: PropertyType,
    rules: Constraints,
    value: &Value,
) -> Option<RecordErrorCode> {
    let property = property("it", property_type, rules);
    check_value(&property, value).err().map(|(code, _)| code)
}

/// The breach of a single value and of the same value in an array must be the same.
fn breach_in_array(
    property_type: PropertyType,
    constraints: Constraints,
    array: ArrayRef,
) -> Vec<(u64, RecordErrorCode)> {
    let errors = errors_in_array(property_type, constraints, array);
    errors
        .iter()
        .map(|error| (error.index, error.code))
        .collect()
}

fn errors_in_array(
    property_type: PropertyType,
    constraints: Constraints,
    array: ArrayRef,
) -> Vec<RecordError> {
    let decoded = DecodedBatch {
        schema: schema(vec![property("it", property_type, constraints)]),
        len: array.len(),
        properties: vec![array],
        origin: from(0),
        given: None,
        errors: Vec::new(),
    };
    validate(decoded).1
}

#[test]
fn records_that_hold_pass_as_they_are() {
    let (valid, errors) = validate(decoded(
        vec![Some(1), Some(9)],
        vec![None, Some("日本語")],
        from(0),
    ));
    assert!(errors.is_empty());
    assert_eq!(valid.len(), 2);
    let codes = valid.properties()[0].as_primitive::<Int64Type>();
    assert_eq!(codes.values(), &[1, 9]);
}

#[test]
fn every_error_of_every_record_is_found_by_record_then_property() {
    use RecordErrorCode::{AboveMaximum, BelowMinimum, Required, TooLong};

    let (valid, errors) = validate(decoded(
        vec![Some(0), Some(5), None, Some(10)],
        vec![Some("long text"), Some("ok"), Some("four"), None],
        from(100),
    ));
    assert_eq!(
        places(&errors),
        [
            (100, "/code", BelowMinimum),
            (100, "/note", TooLong),
            (102, "/code", Required),
            (102, "/note", TooLong),
            (103, "/code", AboveMaximum),
        ]
    );
    assert_eq!(errors[0].value.as_deref(), Some("0"));
    assert_eq!(errors[1].value.as_deref(), Some("\"long text\""));
    assert_eq!(errors[2].value, None);
    assert_eq!(valid.len(), 1);
    assert_eq!(valid.properties()[1].as_string::<i32>().value(0), "ok");
}

#[test]
fn kept_records_remember_where_they_stood() {
    let origin = Origin {
        first: 7,
        lines: Some(vec![10, 12, 14]),
    };
    let (valid, errors) = validate(decoded(
        vec![Some(1), None, Some(2)],
        vec![None, None, None],
        origin,
    ));
    assert_eq!((errors[0].index, errors[0].line), (8, Some(12)));
    let ids = [1, 2].map(|byte| RecordId::from_bytes([byte; 16]));
    let stamped = valid.stamp(&ids, Timestamp::from_micros(5));
    assert_eq!(stamped.origin(0), (7, Some(10)));
    assert_eq!(stamped.origin(1), (9, Some(14)));
    assert_eq!(stamped.id(1), ids[1]);
}

#[test]
fn what_a_decoder_reported_is_not_reported_as_missing_too() {
    let mut batch = decoded(vec![None, None, None], vec![None, None, None], from(0));
    let known = |index, pointer: &str| RecordError {
        index,
        line: None,
        pointer: pointer.to_owned(),
        code: RecordErrorCode::TypeMismatch,
        message: "must be an integer".to_owned(),
        value: None,
    };
    batch.errors = vec![known(0, "/code"), known(1, "")];
    let (valid, errors) = validate(batch);
    assert_eq!(
        places(&errors),
        [
            (0, "/code", RecordErrorCode::TypeMismatch),
            (1, "", RecordErrorCode::TypeMismatch),
            (2, "/code", RecordErrorCode::Required),
        ]
    );
    assert!(valid.is_empty());
}

#[test]
fn bounds_are_inclusive_or_exclusive_as_named() {
    let number =
        |rules: Constraints, value: f64| breach(PropertyType::Number, rules, &Value::Number(value));
    let bound = || Some(Value::Number(1.5));
    let rules = Constraints {
        minimum: bound(),
        ..Constraints::default()
    };
    assert_eq!(number(rules.clone(), 1.5), None);
    assert_eq!(number(rules, 1.4), Some(RecordErrorCode::BelowMinimum));
    let rules = Constraints {
        exclusive_minimum: bound(),
        ..Constraints::default()
    };
    assert_eq!(number(rules, 1.5), Some(RecordErrorCode::BelowMinimum));
    let rules = Constraints {
        maximum: bound(),
        ..Constraints::default()
    };
    assert_eq!(number(rules.clone(), 1.5), None);
    assert_eq!(number(rules, 1.6), Some(RecordErrorCode::AboveMaximum));
    let rules = Constraints {
        exclusive_maximum: bound(),
        ..Constraints::default()
    };
    assert_eq!(number(rules, 1.5), Some(RecordErrorCode::AboveMaximum));
}

#[test]
fn decimals_compare_by_value_and_are_shown_with_their_scale() {
    let size = DecimalSize {
        precision: 6,
        scale: 2,
    };
    let rules = Constraints {
        minimum: Some(Value::Decimal(-105)),
        ..Constraints::default()
    };
    let property = property("it", PropertyType::Decimal(size), rules);
    assert!(check_value(&property, &Value::Decimal(-105)).is_ok());
    let (code, message) = check_value(&property, &Value::Decimal(-106)).unwrap_err();
    assert_eq!(code, RecordErrorCode::BelowMinimum);
    assert_eq!(message, "must be at least -1.05");
}

#[test]
fn values_are_shown_as_the_wire_writes_them() {
    let size = DecimalSize {
        precision: 6,
        scale: 2,
    };
    let rules = Constraints {
        one_of: vec![Value::Decimal(50), Value::Decimal(100)],
        ..Constraints::default()
    };
    let decimals = Decimal128Array::from(vec![70]).with_data_type(DataType::Decimal128(6, 2));
    let errors = errors_in_array(PropertyType::Decimal(size), rules, Arc::new(decimals));
    assert_eq!(errors[0].message, "must be one of 0.50, 1.00");
    assert_eq!(errors[0].value.as_deref(), Some("\"0.70\""));
    let rules = Constraints {
        max_length: Some(3),
        ..Constraints::default()
    };
    let texts = StringArray::from(vec!["\"a\\\n"]);
    let errors = errors_in_array(PropertyType::String, rules, Arc::new(texts));
    assert_eq!(errors[0].value.as_deref(), Some(r#""\"a\\\u000a""#));
}

#[test]
fn lengths_count_code_points() {
    let rules = || Constraints {
        min_length: Some(2),
        max_length: Some(3),
        ..Constraints::default()
    };
    let cases = [
        ("", Some(RecordErrorCode::TooShort)),
        ("é", Some(RecordErrorCode::TooShort)),
        ("日本", None),
        ("😀😀😀", None),
        ("e\u{301}e\u{301}", Some(RecordErrorCode::TooLong)),
    ];
    for (text, expected) in cases {
        let value = Value::String(text.to_owned());
        assert_eq!(
            breach(PropertyType::String, rules(), &value),
            expected,
            "{text}"
        );
    }
}

#[test]
fn patterns_match_anywhere_and_enums_exactly() {
    let pattern = |text: &str| {
        let rules = Constraints {
            pattern: Some(Pattern::new("b+").unwrap()),
            ..Constraints::default()
        };
        breach(PropertyType::String, rules, &Value::String(text.to_owned()))
    };
    assert_eq!(pattern("abbc"), None);
    assert_eq!(pattern("ac"), Some(RecordErrorCode::PatternMismatch));
    let member = |value: i64| {
        let rules = Constraints {
            one_of: vec![Value::Integer(1), Value::Integer(3)],
            ..Constraints::default()
        };
        breach(PropertyType::Integer, rules, &Value::Integer(value))
    };
    assert_eq!(member(3), None);
    assert_eq!(member(2), Some(RecordErrorCode::NotInEnum));
}

#[test]
fn arrays_are_checked_by_their_number_of_items() {
    let rules = Constraints {
        min_items: Some(1),
        max_items: Some(2),
        ..Constraints::default()
    };
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![]),
        Some(vec![Some(1)]),
        None,
        Some(vec![Some(1), Some(2), Some(3)]),
    ]);
    let kind = PropertyType::Array(Box::new(PropertyType::Integer));
    assert_eq!(
        breach_in_array(kind, rules, Arc::new(lists)),
        [
            (0, RecordErrorCode::TooFewItems),
            (3, RecordErrorCode::TooManyItems)
        ]
    );
}

#[test]
fn columns_are_checked_as_single_values_are() {
    let minimum = |value| Constraints {
        minimum: Some(value),
        ..Constraints::default()
    };
    let size = DecimalSize {
        precision: 4,
        scale: 1,
    };
    let decimals = Decimal128Array::from(vec![Some(9), None, Some(10)]);
    let decimals = decimals.with_precision_and_scale(4, 1).unwrap();
    let below = [(0, RecordErrorCode::BelowMinimum)];
    let kind = PropertyType::Decimal(size);
    let rules = minimum(Value::Decimal(10));
    assert_eq!(breach_in_array(kind, rules, Arc::new(decimals)), below);
    let dates = Date32Array::from(vec![Some(-1), None, Some(0)]);
    let rules = minimum(Value::Date(0));
    assert_eq!(
        breach_in_array(PropertyType::Date, rules, Arc::new(dates)),
        below
    );
    let numbers = Float64Array::from(vec![Some(-0.5), None, Some(-0.0)]);
    let rules = minimum(Value::Number(0.0));
    assert_eq!(
        breach_in_array(PropertyType::Number, rules, Arc::new(numbers)),
        below
    );
}

#[test]
fn a_long_value_is_shown_in_part() {
    let long = "é".repeat(500);
    let (_, errors) = validate(decoded(vec![Some(1)], vec![Some(&long)], from(0)));
    let shown = format!("\"{}…\"", "é".repeat(200));
    assert_eq!(errors[0].value, Some(shown));
}

#[test]
fn a_next_version_keeps_its_identity() {
    let (valid, _) = validate(decoded(vec![Some(1)], vec![None], from(0)));
    let id = RecordId::from_bytes([7; 16]);
    let (created, updated) = (Timestamp::from_micros(1), Timestamp::from_micros(2));
    let next = valid.stamp_next(id, created, updated, 4);
    assert_eq!(next.id(0), id);
    assert_eq!(record_version(next.records(), 0), Some(4));
    assert_eq!(record_created_at(next.records(), 0), Some(created));
    assert_eq!(next.records().schema(), *codes().record_layout());
}
