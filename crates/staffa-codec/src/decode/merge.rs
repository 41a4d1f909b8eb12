//! A merge patch (RFC 7396) on a record: absent is unchanged, null is null, objects merge.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow_select::take::take;

use staffa_domain::DecodedBatch;
use staffa_domain::batch::bytes_of;
use staffa_domain::record::system;
use staffa_domain::schema::{PropertyType, SchemaSnapshot};

use super::array::ArrayDecoder;
use super::cursor::{Cursor, unescape};
use super::frame::Framer;
use super::{BatchDecoder, DecodeError, DecodeErrorCode, DecodeOptions, options_of_one};

/// A patch, read once, for any number of records.
#[derive(Debug)]
pub struct MergePatch {
    /// What it gives, as a part of one record.
    part: DecodedBatch,
    bytes: usize,
}

impl MergePatch {
    /// Reads a patch of records of one schema.
    pub fn read(schema: Arc<SchemaSnapshot>, patch: &[u8]) -> Result<Self, DecodeError> {
        let options = DecodeOptions {
            parts: true,
            ..options_of_one()
        };
        let mut decoder = ArrayDecoder::single(schema, options);
        decoder.push(patch)?;
        decoder.finish()?;
        let part = decoder.take();
        let part =
            part.ok_or_else(|| DecodeError::new(DecodeErrorCode::Truncated, "the body is empty"))?;
        let bytes = bytes_of(&part.properties);
        Ok(Self { part, bytes })
    }

    /// What it gives, as a part of one record, with all that is wrong in it.
    pub fn part(&self) -> DecodedBatch {
        self.part.clone()
    }

    /// How much more each record may take that it is applied to: what it gives is repeated in
    /// all of them.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Applies it to records that have the record layout. The results are whole records, to
    /// be validated; what is wrong in the patch is in their errors, as of the first record.
    ///
    /// # Panics
    /// When `current` has another layout, which is a bug of the caller.
    pub fn apply(&self, current: &RecordBatch) -> DecodedBatch {
        let schema = &self.part.schema;
        let count = current.num_rows();
        let first = UInt32Array::from_value(0, count);
        let properties = schema.schema().properties.iter().enumerate();
        let properties = properties.map(|(position, property)| {
            let before = current.column(system::COUNT + position);
            let patch = &self.part.properties[position];
            if !self.gives(position) {
                Arc::clone(before)
            } else if property.property_type == PropertyType::Object && patch.is_valid(0) {
                merge_column(before, patch)
            } else {
                take(patch, &first, None).expect("a patch is one record")
            }
        });
        DecodedBatch {
            properties: properties.collect(),
            len: count,
            given: None,
            ..self.part()
        }
    }

    fn gives(&self, position: usize) -> bool {
        let given = self.part.given.as_ref();
        given.is_some_and(|given| given[position].by(0))
    }
}

fn merge_column(before: &ArrayRef, patch: &ArrayRef) -> ArrayRef {
    let patch = patch.as_string::<i32>().value(0);
    let merged = before.as_string::<i32>().iter().map(|before| {
        let before = before.unwrap_or("{}");
        let mut merged = Vec::with_capacity(before.len() + patch.len());
        merge_objects(before.as_bytes(), patch.as_bytes(), &mut merged);
        Some(String::from_utf8_lossy(&merged).into_owned())
    });
    Arc::new(merged.collect::<StringArray>())
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

pub(super) struct JsonMember<'a> {
    /// The name without escapes.
    pub(super) name: Vec<u8>,
    /// The name as it is written, quotes included.
    key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// The members of a JSON object that was read before. An engine may have put spaces into it.
pub(super) fn members(object: &[u8]) -> Vec<JsonMember<'_>> {
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
