//! Records that are looked up by their index, as they were given.

use std::sync::Arc;

use crate::decode::{CsvOptions, DecodeOptions, InputFormat, RawRecords};

use super::things;

/// Looks in a body that is cut into pieces of every length.
#[track_caller]
fn check(format: InputFormat, body: &str, expected: &[(u64, &str)]) {
    let wanted: Vec<u64> = expected.iter().map(|(index, _)| *index).collect();
    for len in 1..=body.len() {
        let options = DecodeOptions {
            csv: CsvOptions {
                delimiter: b';',
                ..CsvOptions::default()
            },
            ..DecodeOptions::default()
        };
        let mut records = RawRecords::new(format, things(), options, wanted.clone());
        for chunk in body.as_bytes().chunks(len) {
            records.push(chunk).unwrap();
        }
        records.finish().unwrap();
        let found: Vec<(u64, String)> = std::iter::from_fn(|| records.take()).collect();
        let found: Vec<(u64, &str)> = found.iter().map(|(i, json)| (*i, json.as_str())).collect();
        assert_eq!(found, expected, "{len}");
        assert!(records.is_done());
    }
}

#[test]
fn lines() {
    let body = "\u{feff} {\"a\": 1e400} \r\n\n{\"b\"\n[1]\n \n{\"a\":\"ä\"}";
    let expected = [
        (0, r#"{"a": 1e400}"#),
        (1, r#""{\"b\"""#),
        (2, "[1]"),
        (3, r#"{"a":"ä"}"#),
    ];
    check(InputFormat::NdJson, body, &expected);
    check(InputFormat::NdJson, body, &expected[3..]);
}

#[test]
fn elements() {
    let body = " [ [\"x\"], {\"a\":\"]},\"} ,7,\n {\"b\":\n [1, 2]}, null ] ";
    let expected = [
        (0, r#"["x"]"#),
        (1, r#"{"a":"]},"}"#),
        (2, "7"),
        // It goes into a line of its own.
        (3, r#"{"b":[1,2]}"#),
        (4, "null"),
    ];
    check(InputFormat::Json, body, &expected);
    check(InputFormat::Json, body, &expected[2..3]);
}

#[test]
fn csv_records() {
    let body = "\u{feff}a;b\r\n\"x\"\"\n;\";1\n\n;\n2\n\"q";
    let expected = [
        (0, r#"{"a":"x\"\n;","b":"1"}"#),
        (1, r#"{"a":"","b":""}"#),
        (2, r#""2""#),
    ];
    check(InputFormat::Csv, body, &expected);
    check(InputFormat::Csv, body, &expected[1..2]);
}

#[test]
fn rows_of_columns() {
    use arrow_array::{Int64Array, RecordBatch, StringArray};
    use arrow_ipc::writer::StreamWriter;
    use arrow_schema::{DataType, Field, Schema};

    let layout = Schema::new(vec![
        Field::new("a", DataType::Utf8, true),
        Field::new("b", DataType::Int64, true),
    ]);
    let texts = StringArray::from(vec![Some("x"), None, Some("z")]);
    let numbers = Int64Array::from(vec![1, 2, 3]);
    let batch = RecordBatch::try_new(
        Arc::new(layout.clone()),
        vec![Arc::new(texts), Arc::new(numbers)],
    );
    let mut body = Vec::new();
    let mut writer = StreamWriter::try_new(&mut body, &layout).unwrap();
    writer.write(&batch.unwrap()).unwrap();
    writer.finish().unwrap();
    let options = DecodeOptions::default();
    let mut records = RawRecords::new(InputFormat::ArrowStream, things(), options, vec![1, 2]);
    records.push(&body).unwrap();
    records.finish().unwrap();
    let (index, json) = records.take().unwrap();
    assert_eq!(index, 1);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["a"].is_null(), json["b"].as_i64()), (true, Some(2)));
    assert_eq!(records.take().unwrap().0, 2);
}
