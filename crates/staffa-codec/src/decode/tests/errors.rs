//! What is wrong with a record: its code, its place and its text.

use std::sync::Arc;

use staffa_domain::batch::validate;
use staffa_domain::error::RecordErrorCode as Code;

use super::super::decode_object;
use super::{decode, decode_one, lenient, rows, schema, things};
use crate::decode::{DecodeErrorCode, InputFormat};

/// A value, and the pointer and code of what is wrong with it.
const WRONG: &[(&str, &str, Code)] = &[
    (r#""a":1"#, "/a", Code::TypeMismatch),
    (r#""a":"\u0000""#, "/a", Code::TypeMismatch),
    (r#""a":"\ud800""#, "/a", Code::TypeMismatch),
    (r#""a":"\udc00\ud800x""#, "/a", Code::TypeMismatch),
    (r#""a":{"b":[1]}"#, "/a", Code::TypeMismatch),
    (r#""b":"1""#, "/b", Code::TypeMismatch),
    (r#""b":1.5"#, "/b", Code::TypeMismatch),
    (r#""b":1e-1"#, "/b", Code::TypeMismatch),
    (r#""b":9223372036854775808"#, "/b", Code::OutOfRange),
    (r#""b":-9223372036854775809"#, "/b", Code::OutOfRange),
    (r#""b":1e19"#, "/b", Code::OutOfRange),
    (r#""b":1e999999999999"#, "/b", Code::OutOfRange),
    (r#""c":"1""#, "/c", Code::TypeMismatch),
    (r#""c":1e400"#, "/c", Code::OutOfRange),
    (r#""c":true"#, "/c", Code::TypeMismatch),
    (r#""d":"x""#, "/d", Code::TypeMismatch),
    (r#""d":"1.234""#, "/d", Code::OutOfRange),
    (r#""d":100000000"#, "/d", Code::OutOfRange),
    (r#""d":[]"#, "/d", Code::TypeMismatch),
    (r#""e":1"#, "/e", Code::TypeMismatch),
    (r#""e":"true""#, "/e", Code::TypeMismatch),
    (r#""f":"2013-1-1""#, "/f", Code::TypeMismatch),
    (r#""f":"2013-02-29""#, "/f", Code::OutOfRange),
    (r#""f":"2013-01-01T00:00:00Z""#, "/f", Code::TypeMismatch),
    (r#""g":"2013-01-01""#, "/g", Code::TypeMismatch),
    (r#""g":"2013-01-01T24:00:00Z""#, "/g", Code::OutOfRange),
    (r#""g":0"#, "/g", Code::TypeMismatch),
    (
        r#""h":"ffffffff00000000000000000000000a""#,
        "/h",
        Code::TypeMismatch,
    ),
    (r#""i":[]"#, "/i", Code::TypeMismatch),
    (r#""i":"{}""#, "/i", Code::TypeMismatch),
    (r#""i":{"k":1,"k":2}"#, "/i/k", Code::DuplicateProperty),
    (
        r#""i":{"x":[{},{"k":1,"\u006b":2}]}"#,
        "/i/x/1/k",
        Code::DuplicateProperty,
    ),
    (
        r#""i":{"a/b":{"~":"\u0000"}}"#,
        "/i/a~1b/~0",
        Code::TypeMismatch,
    ),
    (r#""i":{"\ud800":1}"#, "/i/\u{fffd}", Code::TypeMismatch),
    (r#""i":{"x":[0,-1e400]}"#, "/i/x/1", Code::OutOfRange),
    (r#""j":1"#, "/j", Code::TypeMismatch),
    (r#""j":{}"#, "/j", Code::TypeMismatch),
    (r#""j":[1,"x"]"#, "/j/1", Code::TypeMismatch),
    (r#""j":[null]"#, "/j/0", Code::TypeMismatch),
    (r#""j":[[1]]"#, "/j/0", Code::TypeMismatch),
    (r#""j":[1,9223372036854775808]"#, "/j/1", Code::OutOfRange),
    (r#""a":"x","a":"y""#, "/a", Code::DuplicateProperty),
    (r#""a":"x","\u0061":null"#, "/a", Code::DuplicateProperty),
    (r#""x":1"#, "/x", Code::UnknownProperty),
    (r#""x/y~":{"z":[]}"#, "/x~1y~0", Code::UnknownProperty),
];

#[test]
fn each_error_has_its_place() {
    let schema = things();
    for (member, pointer, code) in WRONG {
        let body = format!("{{\"b\":1}}\n\n{{{member}}}\n{{\"b\":3}}\n");
        let batch = decode_one(InputFormat::NdJson, &schema, body.as_bytes());
        assert_eq!(batch.len, 3, "{member}");
        assert_eq!(rows(&batch)[2]["b"], 3, "{member}");
        assert_eq!(batch.origin.lines.as_deref(), Some(&[1, 3, 4][..]));
        let found: Vec<_> = batch.errors.iter().collect();
        assert_eq!(found.len(), 1, "{member}: {found:?}");
        assert_eq!(
            (found[0].pointer.as_str(), found[0].code),
            (*pointer, *code),
            "{member}"
        );
        assert_eq!((found[0].index, found[0].line), (1, Some(3)), "{member}");

        let body = format!("[{{}},{{{member}}}]");
        let batch = decode_one(InputFormat::Json, &schema, body.as_bytes());
        assert_eq!(
            (batch.errors[0].index, batch.errors[0].line),
            (1, None),
            "{member}"
        );
        assert_eq!(batch.errors[0].pointer, *pointer, "{member}");

        let batch = decode_object(Arc::clone(&schema), format!("{{{member}}}").as_bytes());
        let errors = batch.unwrap().errors;
        assert_eq!((errors[0].index, errors[0].code), (0, *code), "{member}");
    }
}

#[test]
fn all_errors_of_a_record_are_told() {
    let body = br#"[{"a":1,"b":"x","zz":0,"j":[1,"p",2,"q"],"c":2.5}]"#;
    let batch = decode_one(InputFormat::Json, &things(), body);
    let pointers: Vec<&str> = batch.errors.iter().map(|e| e.pointer.as_str()).collect();
    assert_eq!(pointers, ["/a", "/b", "/zz", "/j/1", "/j/3"]);
    assert_eq!(batch.errors[3].value.as_deref(), Some(r#""p""#));
    assert_eq!(rows(&batch)[0]["c"], 2.5);
    assert_eq!(rows(&batch)[0]["j"], serde_json::json!(null));
}

#[test]
fn errors_stay_small() {
    let long = "x".repeat(5_000);
    let many: Vec<String> = (0..500).map(|at| format!("\"u{at}\":0")).collect();
    let body = format!(
        "[{{\"b\":\"{long}\"}},{{{}}},{{\"{long}\":1}}]",
        many.join(",")
    );
    let batch = decode_one(InputFormat::Json, &things(), body.as_bytes());
    assert_eq!(batch.errors.iter().filter(|e| e.index == 1).count(), 100);
    for error in &batch.errors {
        assert!(
            error
                .value
                .as_ref()
                .is_none_or(|value| value.chars().count() <= 201)
        );
        assert!(error.message.len() < 500, "{}", error.message);
        assert!(error.pointer.len() < 500, "{}", error.pointer);
    }
}

#[test]
fn a_near_miss_is_named() {
    let schema = schema("name: flights\nproperties:\n  - {name: dep_delay, type: number}\n");
    let batch = decode_one(InputFormat::Json, &schema, br#"[{"depdelay":1}]"#);
    assert!(batch.errors[0].message.contains("did you mean dep_delay"));
}

#[test]
fn ignored_properties_are_read_and_forgotten() {
    let batch = decode_one(InputFormat::Json, &lenient(), br#"[{"x":{"y":[1]},"b":2}]"#);
    assert_eq!(batch.errors, []);
    assert_eq!(rows(&batch)[0]["b"], 2);
    let twice = decode_one(InputFormat::Json, &lenient(), br#"[{"x":1,"x":2}]"#);
    assert_eq!(twice.errors[0].code, Code::DuplicateProperty);
}

#[test]
fn a_line_that_is_no_object_costs_itself_alone() {
    let body = b"{\"b\":1}\n[1]\nnull\n{\"b\":2} x\n{\"b\":4}";
    let batch = decode_one(InputFormat::NdJson, &things(), body);
    let found: Vec<_> = batch
        .errors
        .iter()
        .map(|e| (e.index, e.line, e.code))
        .collect();
    let malformed = |index, line| (index, Some(line), Code::Malformed);
    assert_eq!(found, [malformed(1, 2), malformed(2, 3), malformed(3, 4)]);
    assert!(batch.errors.iter().all(|e| e.pointer.is_empty()));
    assert_eq!(batch.errors[2].value.as_deref(), Some("{\"b\":2} x"));
    assert_eq!(rows(&batch)[3]["b"], serde_json::json!(null));
    assert_eq!(rows(&batch)[4]["b"], 4);
}

#[test]
fn an_element_that_is_no_object_costs_itself_alone() {
    let body = b"[{\"b\":1}, 5, \"x\", [{}], null, {\"b\":2}]";
    let batch = decode_one(InputFormat::Json, &things(), body);
    let found: Vec<_> = batch.errors.iter().map(|e| (e.index, e.code)).collect();
    let expected: Vec<_> = (1..5).map(|index| (index, Code::Malformed)).collect();
    assert_eq!(found, expected);
    assert_eq!(rows(&batch)[5]["b"], 2);
}

#[test]
fn a_fault_says_where_in_the_body_it_is() {
    let schema = things();
    for (body, index, byte) in [
        ("[{\"b\":1},{\"b\":x}]", 1, 14),
        ("[{\"b\":1}\n {\"b\":2}]", 1, 10),
        ("[{\"b\":01}]", 0, 6),
        ("[{}] 7", 1, 5),
    ] {
        let error = decode(InputFormat::Json, &schema, body.as_bytes()).unwrap_err();
        assert_eq!(error.code, DecodeErrorCode::MalformedJson, "{body}");
        assert_eq!(
            (error.index, error.byte),
            (Some(index), Some(byte)),
            "{body}"
        );
    }
}

#[test]
fn rules_know_the_line_too() {
    let schema = schema(
        "
name: rules
properties:
  - {name: r, type: integer, required: true, minimum: 1, exclusive_maximum: 10}
  - {name: s, type: string, min_length: 2, max_length: 3, pattern: '^[a-z]*$'}
  - {name: e, type: string, enum: [open, shut]}
  - {name: l, type: array, items: integer, min_items: 1, max_items: 2}
",
    );
    let cases = [
        (r#"{"s":"ab"}"#, "/r", Code::Required),
        (r#"{"r":null}"#, "/r", Code::Required),
        (r#"{"r":0}"#, "/r", Code::BelowMinimum),
        (r#"{"r":10}"#, "/r", Code::AboveMaximum),
        (r#"{"r":1,"s":"é"}"#, "/s", Code::TooShort),
        (r#"{"r":1,"s":"abcd"}"#, "/s", Code::TooLong),
        (r#"{"r":1,"s":"A1"}"#, "/s", Code::PatternMismatch),
        (r#"{"r":1,"e":"ajar"}"#, "/e", Code::NotInEnum),
        (r#"{"r":1,"l":[]}"#, "/l", Code::TooFewItems),
        (r#"{"r":1,"l":[1,2,3]}"#, "/l", Code::TooManyItems),
        // What could not be read is not reported as missing too.
        (r#"{"r":"x"}"#, "/r", Code::TypeMismatch),
        ("[]", "", Code::Malformed),
    ];
    let lines: Vec<&str> = cases.iter().map(|(line, ..)| *line).collect();
    let body = format!("\n{}\n", lines.join("\n\n"));
    let batch = decode_one(InputFormat::NdJson, &schema, body.as_bytes());
    let (valid, errors) = validate(batch);
    assert_eq!(valid.len(), 0);
    for (at, (line, pointer, code)) in (0_u64..).zip(cases) {
        let of_record = || errors.iter().filter(|error| error.index == at);
        let found = of_record().find(|error| error.code == code);
        let found = found.unwrap_or_else(|| panic!("{line}: {errors:?}"));
        assert_eq!(
            (found.pointer.as_str(), found.line),
            (pointer, Some(2 * at + 2)),
            "{line}"
        );
        assert_eq!(of_record().count(), 1, "{line}");
    }
}
