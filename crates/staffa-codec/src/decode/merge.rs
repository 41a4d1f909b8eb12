//! A merge patch (RFC 7396) on a record: absent is unchanged, null is null, objects merge.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};

use staffa_domain::DecodedBatch;
use staffa_domain::record::system;
use staffa_domain::schema::{PropertyType, SchemaSnapshot};

use super::array::ArrayDecoder;
use super::cursor::{Cursor, unescape};
use super::frame::Framer;
use super::{BatchDecoder, DecodeError, DecodeErrorCode, DecodeOptions};

/// Applies a patch to one record that has the record layout. The result is a whole record,
/// to be validated; what is wrong in the patch is in its errors.
pub fn merge_patch(
    schema: Arc<SchemaSnapshot>,
    current: &RecordBatch,
    patch: &[u8],
) -> Result<DecodedBatch, DecodeError> {
    let mut decoder = ArrayDecoder::single(Arc::clone(&schema), DecodeOptions::default());
    decoder.push(patch)?;
    decoder.finish()?;
    let batch = decoder.take();
    let mut batch =
        batch.ok_or_else(|| DecodeError::new(DecodeErrorCode::Truncated, "the body is empty"))?;
    for (position, property) in schema.schema().properties.iter().enumerate() {
        let before = current.column(system::COUNT + position);
        let after = &mut batch.properties[position];
        if !decoder.has_member(position) {
            *after = Arc::clone(before);
        } else if property.property_type == PropertyType::Object && after.is_valid(0) {
            *after = merge_column(before, after);
        }
    }
    Ok(batch)
}

fn merge_column(before: &ArrayRef, patch: &ArrayRef) -> ArrayRef {
    let patch = patch.as_string::<i32>().value(0);
    let before = before.as_string::<i32>();
    let before = if before.is_valid(0) {
        before.value(0)
    } else {
        "{}"
    };
    let mut merged = Vec::with_capacity(before.len() + patch.len());
    merge_objects(before.as_bytes(), patch.as_bytes(), &mut merged);
    let merged = String::from_utf8_lossy(&merged).into_owned();
    Arc::new(StringArray::from(vec![merged]))
}

/// Appends `target` changed by `patch`, both JSON objects. It recurses as deep as the
/// patch nests, which the decoder has bounded.
fn merge_objects(target: &[u8], patch: &[u8], out: &mut Vec<u8>) {
    let changes = members(patch);
    let mut by_name: HashMap<&[u8], (&[u8], bool)> = HashMap::new();
    for change in &changes {
        by_name.insert(&change.name, (change.value, false));
    }
    out.push(b'{');
    for member in members(target) {
        match by_name.get_mut(member.name.as_slice()) {
            None => push_member(member.key, member.value, out),
            Some((value, is_done)) => {
                *is_done = true;
                push_change(member.key, member.value, value, out);
            }
        }
    }
    for change in &changes {
        if by_name
            .get(change.name.as_slice())
            .is_some_and(|(_, is_done)| !is_done)
        {
            push_change(change.key, b"{}", change.value, out);
        }
    }
    out.push(b'}');
}

fn push_change(key: &[u8], before: &[u8], change: &[u8], out: &mut Vec<u8>) {
    match change.first() {
        Some(b'n') | None => {}
        Some(b'{') => {
            push_member(key, b"", out);
            let before = if before.first() == Some(&b'{') {
                before
            } else {
                b"{}"
            };
            merge_objects(before, change, out);
        }
        Some(_) => push_member(key, change, out),
    }
}

fn push_member(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.extend_from_slice(key);
    out.push(b':');
    out.extend_from_slice(value);
}

struct JsonMember<'a> {
    /// The name without escapes.
    name: Vec<u8>,
    /// The name as it is written, quotes included.
    key: &'a [u8],
    value: &'a [u8],
}

/// The members of a JSON object that was read before. An engine may have put spaces into it.
fn members(object: &[u8]) -> Vec<JsonMember<'_>> {
    let mut members = Vec::new();
    let mut cursor = Cursor::new(object, 1);
    cursor.skip_space();
    while let Ok(b'"') = cursor.peek() {
        let start = cursor.at;
        let Ok(text) = cursor.string() else { break };
        let key = &object[start..cursor.at];
        let mut name = Vec::new();
        unescape(&object[text.start..text.end], &mut name);
        cursor.skip_space();
        // Past the colon.
        cursor.at += 1;
        cursor.skip_space();
        let rest = object.get(cursor.at..).unwrap_or_default();
        let Some(len) = Framer::default().scan(rest) else {
            break;
        };
        members.push(JsonMember {
            name,
            key,
            value: &rest[..len],
        });
        cursor.at += len;
        cursor.skip_space();
        // Past the comma.
        cursor.at += 1;
        cursor.skip_space();
    }
    members
}
