//! How kept answers lie in the engine: as records of an internal schema.

use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use bytes::Bytes;
use staffa_domain::record::system;
use staffa_domain::{
    PropertyType, RecordId, SchemaSnapshot, StampedBatch, StorageError, Timestamp,
};

use super::{Kept, Told};
use crate::catalog::{internal_record, internal_schema};

/// Bodies from this length on are packed.
const PACKED_FROM_BYTES: usize = 1 << 10;
const PACK_LEVEL: i32 = 1;

const FINGERPRINT: usize = system::COUNT;
const STATUS: usize = system::COUNT + 1;
const HEADERS: usize = system::COUNT + 2;
const BODY: usize = system::COUNT + 3;
const PACKED: usize = system::COUNT + 4;

/// The schema of kept answers. The id is made from the key; the time is that of the answer.
pub(super) static KEYS: LazyLock<Arc<SchemaSnapshot>> = LazyLock::new(|| {
    internal_schema(
        "_idempotency_keys",
        &[
            ("fingerprint", PropertyType::String, true),
            ("status", PropertyType::Integer, true),
            ("headers", PropertyType::String, true),
            ("body", PropertyType::String, false),
            ("packed", PropertyType::Boolean, true),
        ],
    )
});

/// The identity under which a key's answer is kept: a UUID of version 8 (RFC 9562).
pub(super) fn id_of(key: &str) -> RecordId {
    let hash = blake3::hash(key.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_bytes()[..16]);
    id[6] = (id[6] & 0x0f) | 0x80;
    id[8] = (id[8] & 0x3f) | 0x80;
    RecordId::from_bytes(id)
}

/// The record of an answer.
pub(super) fn write(
    (id, at): (RecordId, Timestamp),
    fingerprint: String,
    told: &Told,
) -> Result<StampedBatch, StorageError> {
    let mut headers = String::new();
    for (name, value) in &told.headers {
        headers.push_str(&format!("{name}: {value}\n"));
    }
    let packed = pack(told.body.as_deref())?;
    let body = match (&packed, &told.body) {
        (Some(packed), _) => Some(packed.as_str()),
        (None, Some(body)) => std::str::from_utf8(body).ok(),
        (None, None) => None,
    };
    let properties: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![fingerprint])),
        Arc::new(Int64Array::from(vec![i64::from(told.status)])),
        Arc::new(StringArray::from(vec![headers])),
        Arc::new(StringArray::from(vec![body])),
        Arc::new(BooleanArray::from(vec![packed.is_some()])),
    ];
    Ok(internal_record(&KEYS, properties)?.stamp(&[id], at))
}

/// A long body, or one that is no text, as text.
fn pack(body: Option<&[u8]>) -> Result<Option<String>, StorageError> {
    let Some(body) = body else { return Ok(None) };
    if body.len() < PACKED_FROM_BYTES && std::str::from_utf8(body).is_ok() {
        return Ok(None);
    }
    let packed = zstd::bulk::compress(body, PACK_LEVEL).map_err(StorageError::internal)?;
    Ok(Some(BASE64.encode(packed)))
}

/// Reads the only record of a batch.
pub(super) fn read(batch: &RecordBatch) -> Result<Kept, StorageError> {
    let text = |column: usize| batch.column(column).as_string::<i32>();
    let body = match text(BODY) {
        bodies if bodies.is_null(0) => None,
        bodies if batch.column(PACKED).as_boolean().value(0) => {
            let packed = BASE64.decode(bodies.value(0));
            let packed = packed.map_err(StorageError::internal)?;
            let body = zstd::stream::decode_all(&packed[..]).map_err(StorageError::internal)?;
            Some(Bytes::from(body))
        }
        bodies => Some(Bytes::copy_from_slice(bodies.value(0).as_bytes())),
    };
    let headers = text(HEADERS).value(0).lines();
    let headers = headers.filter_map(|line| line.split_once(": "));
    let status = batch.column(STATUS).as_primitive::<Int64Type>().value(0);
    Ok(Kept {
        fingerprint: text(FINGERPRINT).value(0).to_owned(),
        told: Told {
            status: u16::try_from(status).map_err(StorageError::internal)?,
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body,
        },
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use staffa_domain::Timestamp;

    use super::super::{Fingerprint, Told};
    use super::{id_of, read, write};

    #[track_caller]
    fn check(body: Option<Vec<u8>>) {
        let told = Told {
            status: 201,
            headers: vec![("etag".to_owned(), "\"1: 2\"".to_owned())],
            body: body.map(Bytes::from),
        };
        let fingerprint = Fingerprint::new([&b"POST"[..]]);
        let at = (id_of("a"), Timestamp::from_micros(7));
        let batch = write(at, fingerprint.text(), &told).unwrap();
        assert_eq!(batch.id(0), id_of("a"));
        let kept = read(batch.records()).unwrap();
        assert_eq!(kept.answer(&fingerprint).unwrap(), told);
    }

    #[test]
    fn answers_come_back_as_they_were() {
        check(None);
        check(Some(Vec::new()));
        check(Some("{\"a\": \"ä\"}".into()));
        check(Some(vec![0xff, 0]));
        check(Some("[1, 2]\n".repeat(10_000).into()));
    }

    #[test]
    fn fingerprints_do_not_see_where_a_body_was_cut_but_where_its_head_was() {
        let of = |head: [&'static [u8]; 2], pieces: [&[u8]; 2]| {
            let fingerprint = Fingerprint::new(head);
            pieces.iter().for_each(|piece| fingerprint.feed(piece));
            fingerprint.text()
        };
        let one = of([b"a", b"bc"], [b"de", b"f"]);
        assert_eq!(one, of([b"a", b"bc"], [b"d", b"ef"]));
        assert_ne!(one, of([b"ab", b"c"], [b"de", b"f"]));
        assert_ne!(one, of([b"a", b"bc"], [b"de", b"g"]));
    }

    #[test]
    fn keys_have_ids_of_their_own() {
        assert_ne!(id_of("a"), id_of("b"));
        assert_eq!(id_of("a").to_string().as_bytes()[14], b'8');
    }
}
