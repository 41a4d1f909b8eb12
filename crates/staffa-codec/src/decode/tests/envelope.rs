//! Envelopes: both orders of their members, what they refuse, and what they keep.

use serde_json::json;

use super::{rows, things};
use crate::decode::{DecodeError, DecodeErrorCode, DecodeOptions, EnvelopeDecoder, Shape};

fn read(body: &str, buffer_max: usize) -> Result<EnvelopeDecoder, DecodeError> {
    let mut decoder = EnvelopeDecoder::new(buffer_max);
    let mut is_resolved = false;
    for chunk in body.as_bytes().chunks(5) {
        if decoder.push(chunk)?.is_some() && !is_resolved {
            is_resolved = true;
            decoder.resolve(things(), DecodeOptions::default())?;
        }
    }
    decoder.finish()?;
    Ok(decoder)
}

#[test]
fn an_object_or_an_array_in_either_order() {
    for (data, shape, expected) in [
        ("{\"b\":1}", Shape::Object, vec![1]),
        ("[{\"b\":1},{\"b\":2}]", Shape::Array, vec![1, 2]),
        ("[]", Shape::Array, vec![]),
    ] {
        for body in [
            format!("{{\"schema_name\":\"things\",\"data\":{data}}}"),
            format!(" {{ \"data\" : {data} , \"schema_name\" : \"things\" }} "),
        ] {
            let mut decoder = read(&body, 1_000).unwrap();
            assert_eq!(decoder.schema_name(), Some("things"), "{body}");
            assert_eq!(decoder.shape(), Some(shape), "{body}");
            let batch = decoder.take();
            let found = batch.map_or(json!([]), |batch| rows(&batch));
            let found: Vec<_> = found
                .as_array()
                .unwrap()
                .iter()
                .map(|r| r["b"].clone())
                .collect();
            assert_eq!(json!(found), json!(expected), "{body}");
            assert!(decoder.take().is_none());
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn the_place_of_a_fault_is_told() {
    use DecodeErrorCode::{MalformedJson, Truncated, UnknownProperty};
    for (body, code, pointer) in [
        ("", Truncated, ""),
        ("[]", MalformedJson, ""),
        ("{", Truncated, ""),
        ("{}", MalformedJson, "/schema_name"),
        ("{\"schema_name\":\"things\"}", MalformedJson, "/data"),
        ("{\"data\":[]}", MalformedJson, "/schema_name"),
        (
            "{\"schema_name\":1,\"data\":[]}",
            MalformedJson,
            "/schema_name",
        ),
        (
            "{\"schema_name\":\"things\",\"data\":1}",
            MalformedJson,
            "/data",
        ),
        (
            "{\"schema_name\":\"things\",\"data\":null}",
            MalformedJson,
            "/data",
        ),
        (
            "{\"schema_name\":\"things\",\"x/y\":1}",
            UnknownProperty,
            "/x~1y",
        ),
        (
            "{\"schema_name\":\"things\",\"schema_name\":\"t\"}",
            MalformedJson,
            "/schema_name",
        ),
        ("{\"data\":[],\"data\":[]}", MalformedJson, "/data"),
        (
            "{\"schema_name\":\"things\",\"data\":[{},{\"b\":x}]}",
            MalformedJson,
            "/data/1",
        ),
        (
            "{\"data\":[{},{\"b\":x}],\"schema_name\":\"things\"}",
            MalformedJson,
            "/data/1",
        ),
        (
            "{\"schema_name\":\"things\",\"data\":{\"b\":x}}",
            MalformedJson,
            "/data",
        ),
        ("{\"schema_name\":\"things\",\"data\":[{}]", Truncated, ""),
        (
            "{\"schema_name\":\"things\",\"data\":[]} x",
            MalformedJson,
            "",
        ),
        (
            "{\"schema_name\":\"things\",\"data\":[],}",
            MalformedJson,
            "",
        ),
        ("{\"schema_name\" \"things\"}", MalformedJson, ""),
        ("{,\"schema_name\":\"things\"}", MalformedJson, ""),
        ("{\"schema_name\":\"\\x\",\"data\":[]}", MalformedJson, ""),
    ] {
        let error = read(body, 1_000).unwrap_err();
        assert_eq!(
            (error.code, error.pointer.as_str()),
            (code, pointer),
            "{body}"
        );
    }
}

#[test]
fn records_before_the_name_are_kept_only_so_long() {
    let data = format!("[{}]", vec!["{\"b\":1}"; 100].join(","));
    let body = format!("{{\"data\":{data},\"schema_name\":\"things\"}}");
    assert!(read(&body, data.len()).is_ok());
    let error = read(&body, data.len() - 1).unwrap_err();
    assert_eq!(error.code, DecodeErrorCode::TooLarge);
    let body = format!("{{\"schema_name\":\"things\",\"data\":{data}}}");
    assert!(read(&body, 10).is_ok());
}

#[test]
fn a_name_is_not_kept_for_ever() {
    let long = "x".repeat(5_000);
    for body in [
        format!("{{\"{long}\":1}}"),
        format!("{{\"schema_name\":\"{long}\"}}"),
    ] {
        for size in [1, 100, 10_000] {
            let mut decoder = EnvelopeDecoder::new(1_000);
            let outcome: Result<(), DecodeError> = body
                .as_bytes()
                .chunks(size)
                .try_for_each(|chunk| decoder.push(chunk).map(|_| ()));
            assert_eq!(outcome.unwrap_err().code, DecodeErrorCode::TooLarge);
        }
    }
}
