//! Merge patches (RFC 7396), beside a reference that is simple and obviously right.

use std::sync::LazyLock;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use serde_json::Value as Json;

use staffa_codec::decode::{MergePatch, decode_object};
use staffa_domain::record::system;
use staffa_domain::{DecodedBatch, RecordId, Timestamp, validate};

use crate::common::{check_decode_error, things};
use crate::records::check_batches;
use crate::round_trip;

/// A record with members to change, to remove and to descend into.
const FULL: &str =
    r#"{"a":"x","b":1,"i":{"p":1,"q":{"r":[1],"s":null},"é":"t"},"j":[1],"k":["y"]}"#;

static RECORDS: LazyLock<[RecordBatch; 2]> = LazyLock::new(|| {
    [FULL, "{}"]
        .map(|text| stamp(decode_object(things(), text.as_bytes()).expect("the record is good")))
});

fn stamp(batch: DecodedBatch) -> RecordBatch {
    let (valid, _) = validate(batch);
    let ids = vec![RecordId::from_bytes([1; 16]); valid.len()];
    valid
        .stamp(&ids, Timestamp::from_micros(0))
        .records()
        .clone()
}

/// A patch, applied to a record that has everything and to one that has nothing.
pub(crate) fn check(bytes: &[u8]) {
    let patch = match MergePatch::read(things(), bytes) {
        Ok(patch) => patch,
        Err(error) => return check_decode_error(&error),
    };
    for record in RECORDS.iter() {
        let changed = patch.apply(record);
        check_batches(std::slice::from_ref(&changed), &Ok(()));
        if !changed.errors.is_empty() {
            continue;
        }
        check_objects(record, &patch.part(), &changed);
        let again = patch.apply(&stamp(changed.clone()));
        assert_eq!(
            again.properties, changed.properties,
            "a patch is idempotent"
        );
        round_trip::check(changed);
    }
}

fn check_objects(before: &RecordBatch, part: &DecodedBatch, after: &DecodedBatch) {
    let position = things().position("i").expect("the schema has an object");
    let given = part
        .given
        .as_ref()
        .is_some_and(|given| given[position].by(0));
    let found = json(&after.properties[position]);
    let before = json(before.column(system::COUNT + position));
    let patch = json(&part.properties[position]);
    // The reference holds numbers as doubles, and not every one is.
    let (Ok(found), Ok(mut expected), Ok(patch)) = (found, before, patch) else {
        return;
    };
    if given {
        merge(&mut expected, patch);
    }
    assert_eq!(found, expected, "an object merges");
}

fn json(array: &ArrayRef) -> serde_json::Result<Json> {
    let texts = array.as_string::<i32>();
    let text = if texts.is_valid(0) {
        texts.value(0)
    } else {
        "null"
    };
    serde_json::from_str(text)
}

/// RFC 7396, section 2.
fn merge(target: &mut Json, patch: Json) {
    let Json::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Json::Object(serde_json::Map::new());
    }
    let Json::Object(target) = target else { return };
    for (name, change) in patch {
        if change.is_null() {
            target.shift_remove(&name);
        } else {
            merge(target.entry(name).or_insert(Json::Null), change);
        }
    }
}
