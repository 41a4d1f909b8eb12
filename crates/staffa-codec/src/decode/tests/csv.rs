//! Quotes, line ends, nulls and headers.

use std::sync::Arc;

use serde_json::json;

use staffa_domain::error::RecordErrorCode as Code;

use super::{decode, decode_one, drive, lenient, rows, things, value};
use crate::decode::{CsvOptions, DecodeErrorCode, DecodeOptions, InputFormat, decoder};

#[test]
fn every_type_is_read_from_its_text() {
    let body = "a,b,c,d,e,f,g,h,i,j\n\
        x,-5,1e3,-0.05,true,1970-01-02,2013-01-01 10:00:00,FFFFFFFF-ffff-ffff-ffff-ffffffffffff,\
        \"{\"\"k\"\": [1, 2]}\",\"[1, 2]\"\n";
    let batch = decode_one(InputFormat::Csv, &things(), body.as_bytes());
    assert_eq!(batch.errors, []);
    let expected = json!([{
        "a": "x", "b": -5, "c": 1000.0, "d": "-0.05", "e": true, "f": "1970-01-02",
        "g": "2013-01-01T10:00:00Z", "h": "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "i": {"k": [1, 2]}, "j": [1, 2],
    }]);
    assert_eq!(rows(&batch), expected);
}

#[test]
fn quotes_hold_anything() {
    for (cell, expected) in [
        ("plain", json!("plain")),
        ("\"quoted\"", json!("quoted")),
        ("\"a,b\"", json!("a,b")),
        ("\"a\"\"b\"", json!("a\"b")),
        ("\"\"\"\"", json!("\"")),
        ("\"\"\"\"\"\"", json!("\"\"")),
        ("\"a\nb\"", json!("a\nb")),
        ("\"a\r\nb\"", json!("a\r\nb")),
        (" spaced ", json!(" spaced ")),
        ("", json!(null)),
        ("\"\"", json!("")),
        ("é", json!("é")),
    ] {
        for line_end in ["\n", "\r\n", ""] {
            let body = format!("b,a{line_end_or}1,{cell}{line_end}", line_end_or = "\n");
            let batch = decode_one(InputFormat::Csv, &things(), body.as_bytes());
            assert_eq!(batch.errors, [], "{body:?}");
            assert_eq!(value(&batch, "a"), expected, "{body:?}");
        }
    }
}

#[test]
fn a_record_that_is_wrong_costs_itself_alone() {
    let body = b"a,b\nx\nq\"q,1\n\"x\"y,1\nx,1,2\n\"two\nlines\",x\n\nx,\xff\nx,7\n";
    let batch = decode_one(InputFormat::Csv, &things(), body);
    let found: Vec<_> = batch
        .errors
        .iter()
        .map(|e| (e.index, e.line, e.pointer.as_str(), e.code))
        .collect();
    let malformed = |index, line| (index, Some(line), "", Code::Malformed);
    assert_eq!(
        found,
        [
            malformed(0, 2),
            malformed(1, 3),
            malformed(2, 4),
            malformed(3, 5),
            (4, Some(6), "/b", Code::TypeMismatch),
            malformed(5, 9),
        ]
    );
    assert_eq!(rows(&batch)[6]["b"], 7);
    assert_eq!(
        batch.origin.lines.as_deref(),
        Some(&[2, 3, 4, 5, 6, 9, 10][..])
    );
}

#[test]
fn cells_of_json_say_where_they_are_wrong() {
    let body = "i,j\n\"{\"\"k\"\":1,\"\"k\"\":2}\",\"[1,\"\"x\"\"]\"\n{,[\n[],{}\n";
    let batch = decode_one(InputFormat::Csv, &things(), body.as_bytes());
    let found: Vec<_> = batch
        .errors
        .iter()
        .map(|e| (e.index, e.pointer.as_str(), e.code))
        .collect();
    assert_eq!(
        found,
        [
            (0, "/i/k", Code::DuplicateProperty),
            (0, "/j/1", Code::TypeMismatch),
            (1, "/i", Code::TypeMismatch),
            (1, "/j", Code::TypeMismatch),
            (2, "/i", Code::TypeMismatch),
            (2, "/j", Code::TypeMismatch),
        ]
    );
}

#[test]
fn a_null_value_and_a_delimiter_may_be_chosen() {
    let options = DecodeOptions {
        csv: CsvOptions {
            delimiter: b';',
            null_value: Some("NA".to_owned()),
        },
        ..DecodeOptions::default()
    };
    let mut decoder = decoder(InputFormat::Csv, things(), options);
    let body = b"a;b;c\nNA;NA;NA\n\"NA\";1;\nna,x;2;0.5\n";
    let (batches, outcome) = drive(decoder.as_mut(), [&body[..]]);
    outcome.unwrap();
    let found = rows(&batches[0]);
    let taken: Vec<_> = (0..3)
        .map(|at| [&found[at]["a"], &found[at]["b"], &found[at]["c"]])
        .collect();
    assert_eq!(
        json!(taken),
        json!([[null, null, null], ["NA", 1, null], ["na,x", 2, 0.5]])
    );
    assert_eq!(batches[0].errors, []);
}

#[test]
fn a_header_is_checked() {
    for (body, code, line) in [
        ("", DecodeErrorCode::MalformedCsv, None),
        ("\n\n", DecodeErrorCode::MalformedCsv, None),
        ("a,zz\n", DecodeErrorCode::UnknownProperty, Some(1)),
        ("\na,a\n", DecodeErrorCode::MalformedCsv, Some(2)),
        ("a,\"b\n", DecodeErrorCode::Truncated, Some(1)),
        ("a\"b,c\n", DecodeErrorCode::MalformedCsv, Some(1)),
        ("a,b\nx,\"1\n", DecodeErrorCode::Truncated, Some(2)),
    ] {
        let error = decode(InputFormat::Csv, &things(), body.as_bytes()).unwrap_err();
        assert_eq!((error.code, error.line), (code, line), "{body:?}");
    }
    let error = decode(InputFormat::Csv, &things(), b"a,zz\n").unwrap_err();
    assert_eq!(error.pointer, "/zz");
    let batch = decode_one(InputFormat::Csv, &lenient(), b"zz,b,yy\n1,2,\"3\n4\"\n");
    assert_eq!(value(&batch, "b"), 2);
    assert!(
        decode(InputFormat::Csv, &things(), b"\xef\xbb\xbf\"a\",b")
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_column_that_is_not_there_has_its_default() {
    let schema = super::schema(
        "name: d\nproperties:\n  - {name: a, type: string}\n  - {name: n, type: integer, default: 7}\n",
    );
    let batch = decode_one(InputFormat::Csv, &schema, b"a\nx\n");
    assert_eq!(rows(&batch), json!([{"a": "x", "n": 7}]));
    let batch = decode_one(InputFormat::Csv, &Arc::clone(&schema), b"a,n\nx,\n");
    assert_eq!(rows(&batch), json!([{"a": "x", "n": null}]));
}
