//! The JSON grammar, in the manner of the JSON parsing test suite: what stands anywhere in a
//! body is either accepted or refused, alike in an object, an array, a line and an unknown
//! property.

use std::sync::Arc;

use proptest::prelude::{any, proptest};
use serde_json::json;

use super::super::decode_object;
use super::{decode, decode_one, lenient, rows, things, value};
use crate::decode::{DecodeErrorCode, InputFormat};
use crate::text::format::push_number;

/// Values that are JSON.
const ACCEPTED: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "10.25",
    "1e5",
    "1E+5",
    "1e-5",
    "1.5e10",
    "0e1",
    "0.0",
    "123456789012345678901234567890",
    "true",
    "false",
    "null",
    r#""""#,
    r#""a""#,
    r#""\"\\\/\b\f\n\r\t""#,
    r#""\u0041\u00e9\u20AC""#,
    r#""\uD834\udd1e""#,
    "\"\u{7f}\"",
    "\"é€𝄞\"",
    "\"\u{2028}\"",
    "[]",
    "[ ]",
    "[1]",
    "[1,2]",
    " [ 1 , 2 ] ",
    "[[]]",
    "[null]",
    "{}",
    "{ }",
    r#"{"":0}"#,
    r#"{"a":[],"b":{}}"#,
    "{\"a\"\t:\r1}",
    r#"{"a":{"b":{"c":[{}]}}}"#,
];

/// Values that are not.
const REFUSED: &[&str] = &[
    "",
    "-",
    "+1",
    "01",
    "-01",
    "00",
    "1.",
    ".5",
    "-.5",
    "1e",
    "1e+",
    "1.e1",
    "0x1",
    "1_000",
    "1 2",
    "NaN",
    "Infinity",
    "-Infinity",
    "nul",
    "nulls",
    "True",
    "tru",
    "falsey",
    "undefined",
    "'a'",
    r#""a"#,
    r#"a""#,
    r#""\x""#,
    r#""\u12""#,
    r#""\u12G4""#,
    r#""\U0041""#,
    "\"\t\"",
    "\"\0\"",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[,]",
    "[1 2]",
    "[1}",
    "[1:2]",
    "[\"a\" 1]",
    "{",
    "}",
    "{]",
    "{a:1}",
    "{1:1}",
    r#"{"a"}"#,
    r#"{"a":}"#,
    r#"{"a":1,}"#,
    r#"{,"a":1}"#,
    r#"{"a" 1}"#,
    r#"{"a":1 "b":2}"#,
    r#"{"a"::1}"#,
    r#"{"a":1]"#,
    "/* */1",
    "1//",
    "\u{feff}1",
    "\u{a0}1",
    "\u{c}1",
];

/// The value as the last thing in an object and as one before others.
fn bodies(value: &str) -> [String; 2] {
    [
        format!(r#"{{"b":1,"x":{value}}}"#),
        format!(r#" {{ "x" : {value} , "b" : 1 }} "#),
    ]
}

#[test]
fn json_is_accepted_wherever_it_stands() {
    let schema = lenient();
    for value in ACCEPTED {
        for body in bodies(value) {
            let expected = json!(1);
            let single = decode_object(Arc::clone(&schema), body.as_bytes()).unwrap();
            assert_eq!(super::value(&single, "b"), expected, "{body}");
            for (format, body) in [
                (InputFormat::Json, format!("[{body},{body}]")),
                (
                    InputFormat::NdJson,
                    format!("{}\n", body.replace('\n', " ")),
                ),
            ] {
                let batch = decode_one(format, &schema, body.as_bytes());
                assert_eq!(super::value(&batch, "b"), expected, "{body}");
                assert_eq!(batch.errors, [], "{body}");
            }
        }
    }
}

#[test]
fn what_is_not_json_is_refused_wherever_it_stands() {
    let schema = lenient();
    for value in REFUSED {
        for body in bodies(value) {
            let error = decode_object(Arc::clone(&schema), body.as_bytes()).unwrap_err();
            assert_ne!(error.code, DecodeErrorCode::TooLarge, "{body}");
            let array = format!("[{body}]");
            decode(InputFormat::Json, &schema, array.as_bytes()).unwrap_err();
            let lines = format!("{{\"b\":1}}\n{body}\n{{\"b\":2}}\n");
            let batch = decode_one(InputFormat::NdJson, &schema, lines.as_bytes());
            assert_eq!(batch.errors.len(), 1, "{body}");
            assert_eq!(batch.errors[0].index, 1, "{body}");
            assert_eq!(rows(&batch)[2]["b"], 2, "{body}");
        }
    }
}

#[test]
fn a_known_property_is_read_as_strictly() {
    let schema = things();
    for value in REFUSED {
        for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
            let body = format!(r#"{{"{name}":{value}}}"#);
            let refused = decode_object(Arc::clone(&schema), body.as_bytes());
            assert!(refused.is_err(), "{body}: {refused:?}");
        }
    }
}

#[test]
fn bodies_have_one_form() {
    let schema = things();
    let json = |body: &str| decode(InputFormat::Json, &schema, body.as_bytes()).map(|b| b.len());
    let single = |body: &str| decode_object(Arc::clone(&schema), body.as_bytes()).map(|b| b.len);
    for (body, expected) in [("[]", 0), (" [ ] ", 0), ("[{}]", 1), ("\n[{} , {}]\n", 1)] {
        assert_eq!(json(body).unwrap(), expected, "{body}");
    }
    for (body, code) in [
        ("", DecodeErrorCode::Truncated),
        ("  ", DecodeErrorCode::Truncated),
        ("[", DecodeErrorCode::Truncated),
        ("[{}", DecodeErrorCode::Truncated),
        ("[{},", DecodeErrorCode::Truncated),
        ("[{\"a\":", DecodeErrorCode::Truncated),
        ("{}", DecodeErrorCode::MalformedJson),
        ("[{},]", DecodeErrorCode::MalformedJson),
        ("[,{}]", DecodeErrorCode::MalformedJson),
        ("[{}{}]", DecodeErrorCode::MalformedJson),
        ("[{}] x", DecodeErrorCode::MalformedJson),
        ("[{}][]", DecodeErrorCode::MalformedJson),
        ("[{}}", DecodeErrorCode::MalformedJson),
        ("[x]", DecodeErrorCode::MalformedJson),
        ("[tru]", DecodeErrorCode::MalformedJson),
        ("[{\"a\":\"\u{1}\"}]", DecodeErrorCode::MalformedJson),
        ("null", DecodeErrorCode::MalformedJson),
    ] {
        assert_eq!(json(body).unwrap_err().code, code, "{body}");
    }
    assert_eq!(single(" {} ").unwrap(), 1);
    for (body, code) in [
        ("", DecodeErrorCode::Truncated),
        ("{", DecodeErrorCode::Truncated),
        ("{\"a\":\"", DecodeErrorCode::Truncated),
        ("[]", DecodeErrorCode::MalformedJson),
        ("1", DecodeErrorCode::MalformedJson),
        ("{}{}", DecodeErrorCode::MalformedJson),
        ("{},", DecodeErrorCode::MalformedJson),
        ("]", DecodeErrorCode::MalformedJson),
    ] {
        assert_eq!(single(body).unwrap_err().code, code, "{body}");
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    let schema = lenient();
    for bad in [
        &b"\xff"[..],
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
    ] {
        for name in ["a", "x"] {
            let mut body = format!("{{\"{name}\":\"").into_bytes();
            let at = body.len();
            body.extend_from_slice(bad);
            body.extend_from_slice(b"\"}");
            let error = decode_object(Arc::clone(&schema), &body).unwrap_err();
            assert_eq!(error.code, DecodeErrorCode::MalformedJson);
            assert_eq!(error.byte, Some(at as u64));
            body.extend_from_slice(b"\n{\"b\":1}\n");
            let batch = decode_one(InputFormat::NdJson, &schema, &body);
            assert_eq!(batch.errors.len(), 1);
            assert_eq!(rows(&batch)[1]["b"], 1);
        }
    }
}

#[test]
fn every_type_is_read_from_its_json() {
    let schema = things();
    for (name, written, expected) in [
        ("a", r#""x\u00e9\n\uD834\udd1e""#, json!("xé\n𝄞")),
        ("b", "9223372036854775807", json!(i64::MAX)),
        ("b", "-9223372036854775808", json!(i64::MIN)),
        ("b", "1.0", json!(1)),
        ("b", "12e2", json!(1200)),
        ("b", "-0", json!(0)),
        ("c", "1", json!(1.0)),
        ("c", "1e-400", json!(0.0)),
        ("c", "1.7976931348623157e308", json!(f64::MAX)),
        ("d", r#""-12.5""#, json!("-12.50")),
        ("d", "99999999.99", json!("99999999.99")),
        ("d", r#""1e2""#, json!("100.00")),
        ("e", "true", json!(true)),
        ("f", r#""2000-02-29""#, json!("2000-02-29")),
        (
            "g",
            r#""2013-01-01T10:00:00+02:00""#,
            json!("2013-01-01T08:00:00Z"),
        ),
        (
            "g",
            r#""2013-01-01 10:00:00.1234567""#,
            json!("2013-01-01T10:00:00.123456Z"),
        ),
        (
            "h",
            r#""FFFFFFFF-0000-0000-0000-00000000000a""#,
            json!("ffffffff-0000-0000-0000-00000000000a"),
        ),
        ("i", r#" { "k" : [ 1 , {} ] } "#, json!({"k": [1, {}]})),
        ("j", "[ 1 , -2 ]", json!([1, -2])),
        ("j", "[]", json!([])),
        ("a", "null", json!(null)),
        ("j", "null", json!(null)),
        ("\\u0062", "5", json!(5)),
    ] {
        let body = format!(r#"{{"{name}":{written}}}"#);
        let batch = decode_object(Arc::clone(&schema), body.as_bytes()).unwrap();
        assert_eq!(batch.errors, [], "{body}");
        let name = if name.len() > 1 { "b" } else { name };
        assert_eq!(value(&batch, name), expected, "{body}");
    }
}

#[test]
fn what_is_absent_has_its_default() {
    let schema = schema_with_defaults();
    let body = b"{}\n{\"s\":null,\"n\":2}\n";
    let batch = decode_one(InputFormat::NdJson, &schema, body);
    let expected = json!([
        {"s": "open", "n": 7, "o": {"k": 1}, "l": ["x"]},
        {"s": null, "n": 2, "o": {"k": 1}, "l": ["x"]},
    ]);
    assert_eq!(rows(&batch), expected);
}

fn schema_with_defaults() -> Arc<staffa_domain::schema::SchemaSnapshot> {
    super::schema(
        "
name: defaults
properties:
  - {name: s, type: string, default: open}
  - {name: n, type: integer, default: 7}
  - {name: o, type: object, default: {k: 1}}
  - {name: l, type: array, items: string, default: [x]}
",
    )
}

proptest! {
    #[test]
    fn doubles_survive(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        if number.is_finite() {
            let mut body = br#"{"c":"#.to_vec();
            push_number(&mut body, number);
            body.push(b'}');
            assert_eq!(double(&body).to_bits(), bits);
        }
    }

    #[test]
    fn doubles_are_rounded_as_std_does(text in r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?") {
        let expected: f64 = text.parse().unwrap();
        let body = format!("{{\"c\":{text}}}");
        if expected.is_finite() {
            assert_eq!(double(body.as_bytes()).to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn integers_survive(number in any::<i64>()) {
        let body = format!("{{\"b\":{number}}}");
        let batch = decode_object(things(), body.as_bytes()).unwrap();
        assert_eq!(value(&batch, "b"), json!(number));
    }

    #[test]
    fn texts_survive(text in any::<String>()) {
        let body = json!({"a": text, "i": {text.clone(): text}}).to_string();
        let batch = decode_object(things(), body.as_bytes()).unwrap();
        if !text.contains('\0') {
            assert_eq!(value(&batch, "a"), json!(text));
            assert_eq!(value(&batch, "i"), json!({text.clone(): text}));
        }
    }
}

fn double(body: &[u8]) -> f64 {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float64Type;

    let batch = decode_object(things(), body).unwrap();
    assert_eq!(batch.errors, []);
    batch.properties[2].as_primitive::<Float64Type>().value(0)
}
