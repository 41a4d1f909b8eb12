//! Merge patches (RFC 7396), beside a reference that is simple and obviously right.

use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
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
    let text = |array: &Arc<dyn Array>| {
        let texts = array.as_string::<i32>();
        texts.is_valid(0).then(|| json(texts.value(0)))
    };
    let given = part
        .given
        .as_ref()
        .is_some_and(|given| given[position].by(0));
    let mut expected = text(before.column(system::COUNT + position));
    if given {
        expected = text(&part.properties[position]).map(|patch| {
            let mut target = expected.unwrap_or_default();
            merge(&mut target, patch);
            target
        });
    }
    assert_eq!(
        text(&after.properties[position]),
        expected,
        "an object merges"
    );
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).expect("a stored object is JSON")
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
