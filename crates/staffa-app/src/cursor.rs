//! Cursors: where a page ended, signed, and bound to its filter, order and schema version.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};
use staffa_codec::question;
use staffa_domain::{Position, RecordQuery};

use crate::error::Error;

/// Bytes of the signature kept: 128 bits.
const MAC_LEN: usize = 16;
/// Cursors longer than this were not made here.
const CURSOR_LEN_MAX: usize = 64 << 10;

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

/// Sealing and opening of cursors.
#[derive(Debug)]
pub(crate) struct Cursor;

impl Cursor {
    /// Makes the text of a cursor that continues `query` after `position`.
    pub(crate) fn seal(position: &Position, query: &RecordQuery, key: &CursorKey) -> String {
        let values = question::write_position(&query.schema, &query.sort, position);
        let payload = values.to_string().into_bytes();
        let mac = sign(&payload, query, key);
        let mut bytes = payload;
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor's text. Any other query, order or schema version than the one it was
    /// made for, or any change to it, is a mismatch.
    pub(crate) fn open(
        text: &str,
        query: &RecordQuery,
        key: &CursorKey,
    ) -> Result<Position, Error> {
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
        let values: Json = serde_json::from_slice(payload).map_err(|_| Error::CursorMismatch)?;
        question::read_position(&query.schema, &query.sort, &values, "/cursor")
            .map_err(|_| Error::CursorMismatch)
    }
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
