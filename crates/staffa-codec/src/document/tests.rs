//! Documents in, documents out: what is read, what is refused, and round trips.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use serde_json::json;

use staffa_domain::Count;
use staffa_domain::change::plan;
use staffa_domain::ports::StoredSchema;
use staffa_domain::record::Timestamp;
use staffa_domain::schema::{
    Constraints, DecimalSize, Property, PropertyId, PropertyName, PropertyType, Schema, SchemaName,
    SchemaSnapshot, UnknownProperties, check as check_schema,
};
use staffa_domain::value::Value;

use super::{
    DocumentError, DocumentForm, describe, json_schema, plan_json, read_schema, read_stored,
    write_schema, write_stored, write_yaml,
};

const WELLS: &str = "
name: well_production            # a comment
description: Monthly production by well
primary_key: [field_code, production_period]
append_only: false
unknown_properties: reject
properties:
  - {name: field_code, type: integer, required: true, is_indexed: true}
  - {name: well_name, type: string, max_length: 200}
  - {name: production_period, type: datetime, required: true}
  - {name: oil_production_kbd, type: number, minimum: 0}
  - {name: status, type: string, enum: [open, shut], default: open}
  - {name: price, type: decimal, precision: 10, scale: 2, minimum: 0.5, maximum: '99.90'}
  - {name: tax, type: decimal}
  - {name: since, type: date, minimum: 2000-01-31}
  - {name: tags, type: array, items: string, max_items: 3}
  - {name: extra, type: object, default: {a: [1, 2.50]}}
";

fn wells() -> Schema {
    read_schema(WELLS, DocumentForm::Yaml).unwrap()
}

#[track_caller]
fn refused(text: &str, form: DocumentForm, expected: &[(&str, &str)]) {
    let problems = read_schema(text, form).unwrap_err().into_problems();
    for (pointer, part) in expected {
        let found = problems
            .iter()
            .any(|problem| problem.pointer == *pointer && problem.message.contains(part));
        assert!(found, "{pointer} {part}: {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
}

#[test]
fn the_example_is_read_in_full() {
    let schema = wells();
    assert_eq!(schema.primary_key.len(), 2);
    let named = |name: &str| &schema.properties[schema.position(name).unwrap()];
    assert!(named("field_code").required && named("field_code").indexed);
    assert_eq!(
        named("status").default,
        Some(Value::String("open".to_owned()))
    );
    assert_eq!(named("status").constraints.one_of.len(), 2);
    let price = named("price");
    assert_eq!(price.constraints.minimum, Some(Value::Decimal(50)));
    assert_eq!(price.constraints.maximum, Some(Value::Decimal(9_990)));
    let default_size = DecimalSize {
        precision: 18,
        scale: 6,
    };
    assert_eq!(
        named("tax").property_type,
        PropertyType::Decimal(default_size)
    );
    assert_eq!(
        named("since").constraints.minimum,
        Some(Value::Date(10_987))
    );
    assert_eq!(
        named("extra").default,
        Some(Value::Object(r#"{"a":[1,2.5]}"#.to_owned()))
    );
}

#[test]
fn json_and_yaml_give_the_same_schema() {
    let schema = wells();
    let text = write_schema(&schema).to_string();
    assert_eq!(read_schema(&text, DocumentForm::Json).unwrap(), schema);
    assert_eq!(
        read_schema(&write_yaml(&schema), DocumentForm::Yaml).unwrap(),
        schema
    );
}

#[test]
fn all_problems_come_at_once_with_places_and_hints() {
    refused(
        "name: Wells\nprimry_key: [a]\nproperties:\n  - {name: a, type: strin, db_type: text}\n  - {name: id, type: integer, default: x, maxlength: 5}\n",
        DocumentForm::Yaml,
        &[
            ("/name", "lower-case letter"),
            ("/primry_key", "did you mean primary_key? (at 2:1)"),
            (
                "/properties/0/db_type",
                "unknown key db_type; did you mean type?",
            ),
            ("/properties/0/type", "did you mean string? (at 4:21)"),
            ("/properties/1/name", "reserved"),
            ("/properties/1/maxlength", "did you mean max_length?"),
            ("/properties/1/default", "expected a value of type integer"),
        ],
    );
    refused(
        "{}",
        DocumentForm::Json,
        &[("", "name is missing"), ("", "properties is missing")],
    );
    refused("[]", DocumentForm::Json, &[("", "expected an object")]);
    refused(&" ".repeat(2 << 20), DocumentForm::Json, &[("", "at most")]);
}

#[test]
fn a_text_that_is_no_document_is_told_apart_from_a_wrong_one() {
    let kind = |text: &str, form| match read_schema(text, form).unwrap_err() {
        DocumentError::TooLong(_) => "too long",
        DocumentError::Malformed(_) => "malformed",
        DocumentError::Invalid(_) => "invalid",
    };
    for (text, form, expected) in [
        ("", DocumentForm::Json, "malformed"),
        ("{\"name\": \"a\",", DocumentForm::Json, "malformed"),
        ("{'name': 1}", DocumentForm::Json, "malformed"),
        ("{} {}", DocumentForm::Json, "malformed"),
        ("name: a", DocumentForm::Json, "malformed"),
        ("null", DocumentForm::Json, "invalid"),
        ("{\"name\": 1}", DocumentForm::Json, "invalid"),
        ("{\"name\": 1, \"name\": 2}", DocumentForm::Json, "invalid"),
        ("name: [a", DocumentForm::Yaml, "malformed"),
        ("name: a\n\tb: 1", DocumentForm::Yaml, "malformed"),
        ("name: \"a", DocumentForm::Yaml, "malformed"),
        ("", DocumentForm::Yaml, "invalid"),
        ("name: &a 1\n", DocumentForm::Yaml, "invalid"),
        ("name: 1\nname: 2\n", DocumentForm::Yaml, "invalid"),
    ] {
        assert_eq!(kind(text, form), expected, "{text:?}");
    }
    let long = " ".repeat(2 << 20);
    assert_eq!(kind(&long, DocumentForm::Json), "too long");
}

#[test]
fn values_of_a_wrong_kind_are_refused() {
    let with = |property: &str| {
        format!("{{\"name\":\"a\",\"properties\":[{{\"name\":\"x\",{property}}}]}}")
    };
    let one = |property: &str, key: &str, part: &str| {
        let pointer = if key.is_empty() {
            "/properties/0".to_owned()
        } else {
            format!("/properties/0/{key}")
        };
        refused(&with(property), DocumentForm::Json, &[(&pointer, part)]);
    };
    one(r#""type":"array""#, "", "items is missing");
    one(r#""type":"array","items":"object""#, "items", "scalars");
    one(
        r#""type":"string","items":"string""#,
        "items",
        "means nothing",
    );
    one(
        r#""type":"string","precision":3"#,
        "precision",
        "means nothing",
    );
    one(
        r#""type":"decimal","precision":99,"scale":2"#,
        "precision",
        "1 to 38",
    );
    one(
        r#""type":"string","pattern":"(""#,
        "pattern",
        "not a regular expression",
    );
    one(
        r#""type":"string","min_length":-1"#,
        "min_length",
        "whole number",
    );
    one(r#""type":"string","enum":[]"#, "enum", "at least one");
    one(r#""type":"string","enum":["a","a"]"#, "enum/1", "twice");
    one(r#""type":"integer","enum":[null]"#, "enum/0", "null");
    one(
        r#""type":"string","unique":true,"is_unique":true"#,
        "is_unique",
        "keep one",
    );
    one(
        r#""type":"string","required":"yes""#,
        "required",
        "true or false",
    );
    one(
        r#""type":"integer","minimum":"5""#,
        "minimum",
        "leave the quotes out",
    );
    one(
        r#""type":"string","default":5"#,
        "default",
        "put it in quotes",
    );
}

#[test]
fn what_a_schema_shows_of_itself() {
    let snapshot = SchemaSnapshot::first(wells());
    let count = Count {
        records: 7,
        exact: false,
    };
    let shown = describe(&snapshot, Some(count));
    assert_eq!(shown["version"], 1);
    assert_eq!(shown["record_count"], 7);
    assert_eq!(shown["record_count_relation"], "approx");
    assert_eq!(shown["properties"][1]["required"], false);
    let schema = json_schema(&snapshot);
    assert_eq!(
        schema["required"],
        json!(["field_code", "production_period"])
    );
    assert_eq!(schema["additionalProperties"], false);
    let properties = &schema["properties"];
    assert_eq!(
        properties["field_code"],
        json!({"type": "integer", "format": "int64", "x-indexed": true})
    );
    assert_eq!(properties["well_name"]["type"], json!(["string", "null"]));
    assert_eq!(properties["production_period"]["format"], "date-time");
    assert_eq!(
        properties["price"]["pattern"],
        r"^-?[0-9]{1,8}(\.[0-9]{1,2})?$"
    );
    assert_eq!(properties["status"]["enum"], json!(["open", "shut", null]));
    assert_eq!(properties["tags"]["items"], json!({"type": "string"}));
}

#[test]
fn a_plan_is_told_step_by_step() {
    let from = wells();
    let mut to = wells();
    to.properties[1].constraints.max_length = Some(100);
    to.properties.remove(2);
    let told = plan_json(&plan(&from, &to).unwrap(), 5_000_000);
    assert_eq!(told["class"], "destructive");
    assert_eq!(told["blocks"], "reads_and_writes");
    let steps: Vec<_> = told["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (&step["step"], &step["property"], &step["records"]))
        .collect();
    let dropped = (
        &json!("drop_property"),
        &json!("production_period"),
        &json!(5_000_000),
    );
    let limited = (
        &json!("add_constraint"),
        &json!("well_name"),
        &json!(5_000_000),
    );
    assert!(
        steps.contains(&dropped) && steps.contains(&limited),
        "{steps:?}"
    );
}

#[test]
fn a_stored_text_that_was_changed_is_refused() {
    let stored = |document: String| StoredSchema {
        name: "well_production".to_owned(),
        version: 3,
        document,
        created_at: Timestamp::from_micros(0),
    };
    let document = write_stored(&SchemaSnapshot::first(wells()));
    assert!(read_stored(&stored(document.clone())).is_ok());
    assert!(read_stored(&stored(document.replace("well_production", "other"))).is_err());
    assert!(
        read_stored(&stored(
            document.replace("\"next_property_id\":11", "\"next_property_id\":10")
        ))
        .is_err()
    );
    assert!(read_stored(&stored(document.replace("[1,2,", "[1,"))).is_err());
}

fn any_type() -> impl Strategy<Value = PropertyType> {
    let scalar = prop_oneof![
        Just(PropertyType::String),
        Just(PropertyType::Integer),
        Just(PropertyType::Number),
        (1_u8..=38).prop_flat_map(|precision| {
            let most = i8::try_from(precision).unwrap();
            (0..=most)
                .prop_map(move |scale| PropertyType::Decimal(DecimalSize { precision, scale }))
        }),
        Just(PropertyType::Boolean),
        Just(PropertyType::Date),
        Just(PropertyType::Datetime),
        Just(PropertyType::Uuid),
    ];
    let list = scalar
        .clone()
        .prop_map(|item| PropertyType::Array(Box::new(item)));
    prop_oneof![8 => scalar, 1 => list, 1 => Just(PropertyType::Object)]
}

/// A text of YAML's and JSON's awkward characters.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{0,8}",
        any::<String>(),
        Just("true".to_owned()),
        Just("1".to_owned())
    ]
    .prop_map(|text| text.replace('\0', ""))
}

fn any_property(index: usize) -> impl Strategy<Value = Property> {
    let words = (
        option::of(any_text()),
        any::<i64>(),
        any::<f64>(),
        any_text(),
    );
    (any_type(), any::<[bool; 4]>(), words).prop_map(move |(kind, flags, words)| {
        let (description, integer, number, text) = words;
        let number = if number.is_finite() { number } else { 0.5 };
        let ordered = kind.is_ordered();
        let value = match &kind {
            PropertyType::String => Some(Value::String(text)),
            PropertyType::Integer => Some(Value::Integer(integer)),
            PropertyType::Number => Some(Value::Number(number)),
            PropertyType::Decimal(size) => {
                let most = 10_i128.pow(size.precision.into());
                Some(Value::Decimal(i128::from(integer) % most))
            }
            PropertyType::Boolean => Some(Value::Boolean(flags[0])),
            PropertyType::Date => Some(Value::Date(i32::try_from(integer % 700_000).unwrap())),
            PropertyType::Datetime => Some(Value::Datetime(Timestamp::from_micros(
                integer % 60_000_000_000_000_000,
            ))),
            PropertyType::Array(item) if **item == PropertyType::Number => {
                Some(Value::Array(vec![Value::Number(number)]))
            }
            _ => None,
        };
        let bounded = matches!(kind, PropertyType::Integer | PropertyType::Decimal(_));
        let constraints = Constraints {
            minimum: value.clone().filter(|_| bounded && flags[1]),
            one_of: value
                .clone()
                .into_iter()
                .filter(|_| ordered && flags[2])
                .collect(),
            ..Constraints::default()
        };
        Property {
            name: PropertyName::new(&format!("p{index}")).unwrap(),
            property_type: kind,
            required: flags[0],
            indexed: flags[1] && ordered,
            unique: flags[2] && ordered,
            default: value.filter(|_| flags[3]),
            description,
            constraints,
            renamed_from: flags[3].then(|| PropertyName::new("before").unwrap()),
        }
    })
}

fn any_schema() -> impl Strategy<Value = Schema> {
    let properties = vec(any::<()>(), 1..6).prop_flat_map(|units| {
        units
            .iter()
            .enumerate()
            .map(|(index, ())| any_property(index))
            .collect::<Vec<_>>()
    });
    (properties, option::of(any_text()), any::<bool>()).prop_map(
        |(properties, description, ignore)| Schema {
            name: SchemaName::new("things").unwrap(),
            description,
            primary_key: Vec::new(),
            append_only: false,
            unknown_properties: if ignore {
                UnknownProperties::Ignore
            } else {
                UnknownProperties::Reject
            },
            distributed_by: ignore.then(|| properties[0].name.clone()),
            properties,
        },
    )
}

proptest! {
    #[test]
    fn every_schema_survives_both_forms(schema in any_schema()) {
        assert_eq!(check_schema(&schema), []);
        let json = write_schema(&schema).to_string();
        assert_eq!(read_schema(&json, DocumentForm::Json).unwrap(), schema);
        let yaml = write_yaml(&schema);
        assert_eq!(read_schema(&yaml, DocumentForm::Yaml).unwrap(), schema, "{yaml}");
        assert!(plan(&schema, &schema).unwrap().is_empty());
    }

    #[test]
    fn a_plan_leads_from_any_schema_to_any_other(from in any_schema(), to in any_schema()) {
        let forgotten = |mut schema: Schema| {
            schema.properties.iter_mut().for_each(|p| p.renamed_from = None);
            schema
        };
        let (mut from, mut to) = (forgotten(from), to);
        to.name = from.name.clone();
        to.distributed_by = None;
        from.distributed_by = None;
        if let Ok(plan) = plan(&from, &to) {
            assert_eq!(plan.apply_to(&from), forgotten(to));
        }
    }

    #[test]
    fn every_snapshot_survives_storage(schema in any_schema(), from in 1_u32..1_000, version: u32) {
        let count = u32::try_from(schema.properties.len()).unwrap();
        let ids: Vec<PropertyId> = (from..from + count).rev().map(PropertyId).collect();
        let snapshot = SchemaSnapshot::restore(schema, version, ids, from + count + 5);
        let stored = StoredSchema {
            name: snapshot.name().to_owned(),
            version,
            document: write_stored(&snapshot),
            created_at: Timestamp::from_micros(0),
        };
        let read = read_stored(&stored).unwrap();
        assert_eq!(read.schema(), snapshot.schema());
        assert_eq!(read.property_ids(), snapshot.property_ids());
        assert_eq!(read.next_property_id(), snapshot.next_property_id());
        assert_eq!(read.version(), version);
    }

    #[test]
    fn no_text_breaks_the_reader(text in any::<String>()) {
        let _ = read_schema(&text, DocumentForm::Yaml);
        let _ = read_schema(&text, DocumentForm::Json);
    }
}
