//! Merge patches (RFC 7396).

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_select::concat::concat_batches;
use serde_json::{Value, json};

use staffa_domain::DecodedBatch;
use staffa_domain::batch::id_array;
use staffa_domain::record::RecordId;
use staffa_domain::schema::SchemaSnapshot;

use super::super::{MergePatch, decode_object};
use super::{rows, schema, things};
use crate::decode::{DecodeError, DecodeErrorCode};

/// A stored record with these properties.
fn stored(data: &Value) -> RecordBatch {
    let schema = things();
    let batch = decode_object(Arc::clone(&schema), data.to_string().as_bytes()).unwrap();
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0]));
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(id_array(&[RecordId::from_bytes([7; 16])])),
        Arc::clone(&at),
        at,
        Arc::new(Int64Array::from(vec![1])),
    ];
    columns.extend(batch.properties);
    RecordBatch::try_new(Arc::clone(schema.record_layout()), columns).unwrap()
}

fn merge_patch(
    schema: Arc<SchemaSnapshot>,
    before: &RecordBatch,
    patch: &[u8],
) -> Result<DecodedBatch, DecodeError> {
    MergePatch::read(schema, patch).map(|patch| patch.apply(before))
}

fn merged(before: &Value, patch: &str) -> Value {
    let batch = merge_patch(things(), &stored(before), patch.as_bytes()).unwrap();
    assert_eq!(batch.errors, []);
    rows(&batch)[0].clone()
}

#[test]
fn absent_is_unchanged_and_null_is_null() {
    let before = json!({"a": "x", "b": 1, "e": true, "j": [1, 2]});
    let after = merged(&before, r#"{"b":2,"e":null,"j":[3]}"#);
    let seen = [
        &after["a"],
        &after["b"],
        &after["e"],
        &after["j"],
        &after["c"],
    ];
    assert_eq!(json!(seen), json!(["x", 2, null, [3], null]));
    assert_eq!(merged(&before, "{}"), merged(&before, r#"{"a":"x"}"#));
}

/// The examples of RFC 7396, appendix A, that are objects, and what compact text may hide.
#[test]
fn objects_merge_as_the_rfc_says() {
    for (before, patch, after) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (
            json!({"a": "b"}),
            json!({"b": "c"}),
            json!({"a": "b", "b": "c"}),
        ),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (
            json!({"a": "b", "b": "c"}),
            json!({"a": null}),
            json!({"b": "c"}),
        ),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (
            json!({"a": {"b": "c"}}),
            json!({"a": {"b": "d", "c": null}}),
            json!({"a": {"b": "d"}}),
        ),
        (
            json!({"a": [{"b": "c"}]}),
            json!({"a": [1]}),
            json!({"a": [1]}),
        ),
        (
            json!({"e": null}),
            json!({"a": 1}),
            json!({"e": null, "a": 1}),
        ),
        (
            json!({}),
            json!({"a": {"bb": {"ccc": null}}}),
            json!({"a": {"bb": {}}}),
        ),
        (
            json!({"a": 1}),
            json!({"a": {"b": 2}}),
            json!({"a": {"b": 2}}),
        ),
        (
            json!({"x\"y": "]}", "é": [1, "}"], "z": -1.5e3}),
            json!({"x\"y": {"n": 0}, "z": false}),
            json!({"x\"y": {"n": 0}, "é": [1, "}"], "z": false}),
        ),
    ] {
        let found = merged(&json!({"i": before}), &json!({"i": patch}).to_string());
        assert_eq!(found["i"], after, "{before} {patch}");
    }
    let onto_null = merged(&json!({}), r#"{"i":{"k":1,"l":null}}"#);
    assert_eq!(onto_null["i"], json!({"k": 1}));
    let to_null = merged(&json!({"i": {"k": 1}}), r#"{"i":null}"#);
    assert_eq!(to_null["i"], json!(null));
    let escaped = merged(&json!({"i": {"k": 1}}), r#"{"i":{"\u006b":2}}"#);
    assert_eq!(escaped["i"], json!({"k": 2}));
}

#[test]
fn what_an_engine_stored_with_spaces_merges_too() {
    let mut columns = stored(&json!({"i": {}})).columns().to_vec();
    let text = "{ \"k\" : { \"x\": [1, 2] , \"y\": 0 },\n\"l\": \"a b\" }";
    columns[12] = Arc::new(arrow_array::StringArray::from(vec![text]));
    let layout = Arc::clone(things().record_layout());
    let before = RecordBatch::try_new(layout, columns).unwrap();
    let batch = merge_patch(things(), &before, br#"{"i":{"k":{"y":null,"z":1}}}"#).unwrap();
    let expected = json!({"k": {"x": [1, 2], "z": 1}, "l": "a b"});
    assert_eq!(rows(&batch)[0]["i"], expected);
}

#[test]
fn what_is_wrong_in_a_patch_is_told() {
    let before = stored(&json!({"b": 1}));
    let batch = merge_patch(things(), &before, br#"{"b":"x","zz":1,"i":{"k":1,"k":2}}"#).unwrap();
    let pointers: Vec<&str> = batch.errors.iter().map(|e| e.pointer.as_str()).collect();
    assert_eq!(pointers, ["/b", "/zz", "/i/k"]);
    for body in ["[]", "", "{} {}", "{\"b\":}"] {
        let error = merge_patch(things(), &before, body.as_bytes()).unwrap_err();
        assert_ne!(error.code, DecodeErrorCode::TooLarge, "{body}");
    }
}

#[test]
fn defaults_do_not_overwrite() {
    let schema = schema("name: d\nproperties:\n  - {name: n, type: integer, default: 7}\n");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(id_array(&[RecordId::from_bytes([7; 16])])),
        Arc::new(TimestampMicrosecondArray::from(vec![0])),
        Arc::new(TimestampMicrosecondArray::from(vec![0])),
        Arc::new(Int64Array::from(vec![1])),
        Arc::new(Int64Array::from(vec![3])),
    ];
    let before = RecordBatch::try_new(Arc::clone(schema.record_layout()), columns).unwrap();
    let batch = merge_patch(schema, &before, b"{}").unwrap();
    assert_eq!(rows(&batch), json!([{"n": 3}]));
}

#[test]
fn one_patch_is_applied_to_many_records() {
    let before = [json!({"b": 1, "i": {"x": 1}}), json!({"a": "z", "b": 2})];
    let before: Vec<_> = before.iter().map(stored).collect();
    let before = concat_batches(things().record_layout(), &before).unwrap();
    let patch = MergePatch::read(things(), br#"{"b":null,"c":1.5,"i":{"y":2}}"#).unwrap();
    let found = rows(&patch.apply(&before));
    let seen = |at: usize| ["a", "b", "c", "i"].map(|name| found[at][name].clone());
    assert_eq!(json!(seen(0)), json!([null, null, 1.5, {"x": 1, "y": 2}]));
    assert_eq!(json!(seen(1)), json!(["z", null, 1.5, {"y": 2}]));
    assert_eq!(patch.apply(&before.slice(0, 0)).len, 0);
}
