//! The outside of transactions, and what stands in for an earlier result.

use std::borrow::Cow;

use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::decode::{
    Step, TransactionProblem, TransactionReader, Verb, find_member, read_text, resolve_references,
};

fn read(body: &str) -> Result<Vec<Step<'_>>, TransactionProblem> {
    let mut reader = TransactionReader::new(body.as_bytes(), 3, 5);
    let mut steps = Vec::new();
    while let Some(step) = reader.next_step()? {
        steps.push(step);
    }
    Ok(steps)
}

#[test]
fn operations_are_read_as_they_are_written() {
    let body = r#" { "operations" : [ {"op":"upsert","schema":"a\u0062","data" : { "x":[1,{}] },
        "if_match":null,"as":"n"} , {"filters":[],"op":"assert","exists":false,"schema":"c"} ] } "#;
    let steps = read(body).unwrap();
    assert_eq!(
        (steps[0].verb, steps[0].schema.as_str()),
        (Verb::Upsert, "ab")
    );
    assert_eq!(steps[0].data, Some(&br#"{ "x":[1,{}] }"#[..]));
    assert_eq!((steps[0].if_match, steps[0].id), (None, None));
    assert_eq!(
        (steps[0].name.as_deref(), steps[0].exists),
        (Some("n"), true)
    );
    assert_eq!((steps[1].verb, steps[1].exists), (Verb::Assert, false));
    assert_eq!(steps[1].filters, Some(&b"[]"[..]));
    assert_eq!(read(r#"{"operations":[]}"#).unwrap(), []);
}

#[track_caller]
fn check_form(body: &str, pointer: &str) {
    match read(body) {
        Err(TransactionProblem::Form(problem)) => assert_eq!(problem.pointer, pointer, "{body}"),
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn what_has_another_form_is_refused_at_its_place() {
    let one =
        |members: &str| format!(r#"{{"operations":[{{"op":"delete","schema":"a",{members}}}]}}"#);
    check_form(&one(r#""id":"x","id":"y""#), "/operations/0/id");
    check_form(&one(r#""id":"x","idd":"y""#), "/operations/0/idd");
    check_form(&one(r#""id":"x","data":{}"#), "/operations/0/data");
    check_form(&one(r#""as":"x""#), "/operations/0");
    check_form(&one(r#""id":"x","as":1"#), "/operations/0/as");
    check_form(r#"{"operations":{}}"#, "/operations");
    check_form(r#"{"a/b":1}"#, "/a~1b");
    let four = [r#"{"op":"delete","schema":"a","id":"x"}"#; 4].join(",");
    check_form(&format!(r#"{{"operations":[{four}]}}"#), "/operations");
}

#[test]
fn what_is_no_json_is_told_by_its_byte() {
    for (body, byte) in [
        ("", 0),
        (r#"{"operations":[}"#, 15),
        (r#"{"operations":[{"op":"delete" "schema"}]}"#, 30),
        (r#"{"operations":[{"id":[[[[[[1]]]]]]}]}"#, 26),
        (r#"{"operations":[]]"#, 16),
        (r#"{"operations":[]} 1"#, 18),
    ] {
        match read(body) {
            Err(TransactionProblem::Text(error)) => assert_eq!(error.byte, Some(byte), "{body}"),
            // Where an operation should begin, anything else is not one.
            Err(TransactionProblem::Form(problem)) => {
                assert_eq!(
                    (problem.pointer.as_str(), byte),
                    ("/operations/0", 15),
                    "{body}"
                );
            }
            Ok(steps) => panic!("{body}: {steps:?}"),
        }
    }
    let bad = b"{\"operations\":[\xff]}";
    let mut reader = TransactionReader::new(bad, 3, 5);
    assert!(reader.next_step().is_err());
}

#[test]
fn members_are_found_by_their_path() {
    let record = br#"{"id":"x","data":{"a.b":1,"c":{"d":[1, 2]}},"version":3}"#;
    assert_eq!(find_member(record, "version"), Some(&b"3"[..]));
    assert_eq!(find_member(record, "data.c.d"), Some(&b"[1, 2]"[..]));
    for path in ["", "data.", "data.c.d.e", "nope", "id.x"] {
        assert_eq!(find_member(record, path), None, "{path}");
    }
    assert_eq!(read_text(br#""a\u0062""#).as_deref(), Some("ab"));
    assert_eq!(read_text(b"12"), None);
}

#[test]
fn text_without_references_is_not_copied() {
    let text = br#"{"a": [1, "x"]}"#;
    let resolved = resolve_references(text, &mut |path| panic!("{path}")).unwrap();
    assert!(matches!(resolved, Cow::Borrowed(_)));
}

#[test]
fn a_reference_that_leads_nowhere_is_told_by_its_place() {
    let text = br#"{"a/b":[0,{"c":{"\u0024ref":"x.id"}}]}"#;
    let error = resolve_references(text, &mut |path| Err(format!("no {path}"))).unwrap_err();
    assert_eq!(
        (error.pointer.as_str(), error.message.as_str()),
        ("/a~1b/1/c", "no x.id")
    );
}

fn value() -> BoxedStrategy<Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "[a\\\\\"{}\\[\\]:,é$ ]{0,6}".prop_map(Json::from),
        "[a-c]".prop_map(|name| json!({"$ref": format!("{name}.id")})),
        "[a-c]".prop_map(|name| json!({"$ref": name, "more": 1})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::from),
            hash_map("[a-c\"é$]{0,3}", inner, 0..4).prop_map(|members| {
                members
                    .into_iter()
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
    .boxed()
}

/// What [`resolve_references`] should make of a value.
fn resolved(value: Json) -> Json {
    match value {
        Json::Object(members) => {
            if let (1, Some(Json::String(path))) = (members.len(), members.get("$ref")) {
                return json!({"path": path});
            }
            let members = members.into_iter();
            let members = members.map(|(name, value)| (name, resolved(value)));
            Json::Object(members.collect())
        }
        Json::Array(items) => items.into_iter().map(resolved).collect(),
        other => other,
    }
}

proptest! {
    #[test]
    fn references_are_replaced_wherever_they_stand(value in value(), spaced in any::<bool>()) {
        let text = if spaced {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        let mut resolve = |path: &str| Ok(json!({"path": path}).to_string().into_bytes());
        let found = resolve_references(text.as_bytes(), &mut resolve).unwrap();
        let found: Json = serde_json::from_slice(&found).unwrap();
        prop_assert_eq!(found, resolved(value));
    }
}
