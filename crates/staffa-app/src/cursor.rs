//! Cursors: where a page ended, signed, and bound to its filter, order and schema version.
//!
//! A cursor holds the sort values of the last record, so that it stands whatever becomes of that
//! record. It must fit in a URL: of a long text it holds the beginning and a digest, by which
//! the whole is known again as long as the record has it. Where the record is gone or has another
//! text, the page starts at what the beginning says: some records may come once more, none is
//! left out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};
use staffa_codec::question;
use staffa_domain::{Position, RecordQuery, Sort, Value};

use crate::error::Error;

/// Bytes of the signature kept: 128 bits.
const MAC_LEN: usize = 16;
/// Cursors longer than this were not made here.
const CURSOR_LEN_MAX: usize = 6 << 10;
/// Bytes of sort values as JSON that a cursor holds, shared by all of them.
const VALUES_LEN_MAX: usize = 1 << 10;
/// Members of what stands for a long text.
const BEGINS: &str = "begins";
const DIGEST: &str = "digest";
/// Follows every character in the order of texts.
const LAST_CHAR: char = '\u{10FFFF}';

/// The key that signs cursors. Servers that share a database must share it.
#[derive(Clone)]
pub struct CursorKey([u8; 32]);

impl CursorKey {
    /// A key from a secret of any length.
    pub fn from_secret(secret: &[u8]) -> Self {
        Self(blake3::derive_key("staffa 2026 record cursor v1", secret))
    }
}

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey(..)")
    }
}

/// A cursor that was opened: where the page starts.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// With the beginnings of long texts, such that nothing is left out.
    pub(crate) position: Position,
    /// The sort values of which that is the beginning alone.
    cut: Vec<Cut>,
}

/// A long text of which a cursor holds the beginning.
#[derive(Debug)]
struct Cut {
    /// Its place among the sort values.
    at: usize,
    digest: String,
}

impl Cursor {
    /// Makes the text of a cursor that continues `query` after `position`.
    pub(crate) fn seal(position: &Position, query: &RecordQuery, key: &CursorKey) -> String {
        let mut values = question::write_position(&query.schema, &query.sort, position);
        if let Some(values) = values["values"].as_array_mut() {
            let len_max = VALUES_LEN_MAX / values.len().max(1);
            values.iter_mut().for_each(|value| shorten(value, len_max));
        }
        let payload = values.to_string().into_bytes();
        let mac = sign(&payload, query, key);
        let mut bytes = payload;
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor's text. Any other query, order or schema version than the one it was
    /// made for, or any change to it, is a mismatch.
    pub(crate) fn open(text: &str, query: &RecordQuery, key: &CursorKey) -> Result<Self, Error> {
        if text.len() > CURSOR_LEN_MAX {
            return Err(Error::CursorMismatch);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| Error::CursorMismatch)?;
        let split = bytes
            .len()
            .checked_sub(MAC_LEN)
            .ok_or(Error::CursorMismatch)?;
        let (payload, mac) = bytes.split_at(split);
        let given: [u8; MAC_LEN] = mac.try_into().map_err(|_| Error::CursorMismatch)?;
        let made = sign(payload, query, key);
        // Compared without leaving early, so that timing tells nothing.
        let differs = made
            .iter()
            .zip(given)
            .fold(0, |differs, (a, b)| differs | (a ^ b));
        if differs != 0 {
            return Err(Error::CursorMismatch);
        }
        let mut values: Json =
            serde_json::from_slice(payload).map_err(|_| Error::CursorMismatch)?;
        let cut = restore(&mut values, &query.sort);
        let position = question::read_position(&query.schema, &query.sort, &values, "/cursor")
            .map_err(|_| Error::CursorMismatch)?;
        Ok(Self { position, cut })
    }

    /// Whether the record may tell more of the position.
    pub(crate) const fn is_cut(&self) -> bool {
        !self.cut.is_empty()
    }

    /// Completes long texts by the values that the record has now, where those are the same.
    pub(crate) fn complete(&mut self, now: &[Value]) {
        for cut in &self.cut {
            if let (Some(Value::String(text)), Some(value)) =
                (now.get(cut.at), self.position.values.get_mut(cut.at))
                && digest(text) == cut.digest
            {
                *value = Value::String(text.clone());
            }
        }
    }
}

/// Puts what stands for it in the place of a text that is longer than `len_max` as JSON.
fn shorten(value: &mut Json, len_max: usize) {
    let Some(text) = value.as_str() else { return };
    let mut len = 0;
    let end = text.char_indices().find(|(_, c)| {
        len += json_len(*c);
        len > len_max
    });
    if let Some((end, _)) = end {
        *value = json!({BEGINS: text[..end], DIGEST: digest(text)});
    }
}

/// The bytes of a character in a JSON text.
const fn json_len(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        c if c.is_ascii_control() => 6,
        c => c.len_utf8(),
    }
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}

/// Puts beginnings in the place of what stands for long texts, and tells which these are.
fn restore(values: &mut Json, sort: &[Sort]) -> Vec<Cut> {
    let mut cut = Vec::new();
    let values = values["values"].as_array_mut();
    for (at, (value, key)) in values.into_iter().flatten().zip(sort).enumerate() {
        let (Some(begins), Some(digest)) = (value[BEGINS].as_str(), value[DIGEST].as_str()) else {
            continue;
        };
        let (mut begins, digest) = (begins.to_owned(), digest.to_owned());
        if key.descending {
            // Texts that begin so and are smaller than the whole come after it.
            begins.push(LAST_CHAR);
        }
        cut.push(Cut { at, digest });
        *value = begins.into();
    }
    cut
}

/// Signs the position together with everything that it depends on.
fn sign(payload: &[u8], query: &RecordQuery, key: &CursorKey) -> [u8; MAC_LEN] {
    let filter = query.filter.as_ref();
    let filter = filter.map_or(Json::Null, |f| question::write_filter(&query.schema, f));
    let sort: Vec<Json> = query
        .sort
        .iter()
        .map(|s| json!([s.field.name(&query.schema), s.descending, s.nulls_first]))
        .collect();
    let bound = json!([query.schema.name(), query.schema.version(), filter, sort]).to_string();
    let mut hasher = blake3::Hasher::new_keyed(&key.0);
    hasher.update(&(bound.len() as u64).to_le_bytes());
    hasher.update(bound.as_bytes());
    hasher.update(payload);
    let mut mac = [0; MAC_LEN];
    mac.copy_from_slice(&hasher.finalize().as_bytes()[..MAC_LEN]);
    mac
}
