//! How kept answers lie in the engine: as records of an internal schema.

use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use bytes::Bytes;
use staffa_domain::record::system;
use staffa_domain::{
    PropertyType, RecordId, SchemaSnapshot, StampedBatch, StorageError, Timestamp,
};

use super::{Kept, KeptBody, Told};
use crate::catalog::{internal_record, internal_schema};

/// Stands between the length of a packed body and its bytes.
const LEN_END: char = ':';

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
    let (body, packed) = match told.body.as_plain() {
        Some(plain) => {
            let text = std::str::from_utf8(plain).map_err(StorageError::internal)?;
            (text.to_owned(), false)
        }
        None => {
            let packed = BASE64.encode(told.body.bytes());
            (format!("{}{LEN_END}{packed}", told.body.len()), true)
        }
    };
    let properties: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![fingerprint])),
        Arc::new(Int64Array::from(vec![i64::from(told.status)])),
        Arc::new(StringArray::from(vec![headers])),
        Arc::new(StringArray::from(vec![body])),
        Arc::new(BooleanArray::from(vec![packed])),
    ];
    Ok(internal_record(&KEYS, properties)?.stamp(&[id], at))
}

/// Reads the only record of a batch.
pub(super) fn read(batch: &RecordBatch) -> Result<Kept, StorageError> {
    let text = |column: usize| batch.column(column).as_string::<i32>();
    let body = text(BODY).value(0);
    let body = match batch.column(PACKED).as_boolean().value(0) {
        true => unpack(body)?,
        false => KeptBody::from(Bytes::copy_from_slice(body.as_bytes())),
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

/// Reads a packed body, which follows its length.
fn unpack(text: &str) -> Result<KeptBody, StorageError> {
    let broken = || StorageError::internal("a kept answer that cannot be read");
    let (len, packed) = text.split_once(LEN_END).ok_or_else(broken)?;
    let len = len.parse().map_err(StorageError::internal)?;
    let packed = BASE64.decode(packed).map_err(StorageError::internal)?;
    Ok(KeptBody::packed(len, packed.into()))
}

#[cfg(test)]
mod tests {
    use staffa_domain::Timestamp;

    use super::super::{BodyPacker, Fingerprint, KeptBody, Told};
    use super::{id_of, read, write};
    use crate::error::Error;

    fn unpacked(body: &KeptBody) -> Vec<u8> {
        let (mut pieces, mut whole) = (body.pieces().unwrap(), Vec::new());
        loop {
            let piece = pieces.take().unwrap();
            if piece.is_empty() {
                return whole;
            }
            whole.extend_from_slice(&piece);
        }
    }

    #[track_caller]
    fn check(body: &[u8]) {
        let mut packer = BodyPacker::new(1 << 20);
        body.chunks(700)
            .for_each(|piece| packer.put(piece).unwrap());
        let told = Told {
            status: 201,
            headers: vec![("etag".to_owned(), "\"1: 2\"".to_owned())],
            body: packer.finish().unwrap(),
        };
        assert_eq!(told.body.len(), body.len() as u64);
        assert_eq!(unpacked(&told.body), body);
        let fingerprint = Fingerprint::new([&b"POST"[..]]);
        let at = (id_of("a"), Timestamp::from_micros(7));
        let batch = write(at, fingerprint.text(), &told).unwrap();
        assert_eq!(batch.id(0), id_of("a"));
        let kept = read(batch.records()).unwrap().answer(&fingerprint).unwrap();
        assert_eq!(kept, told);
        assert_eq!(unpacked(&kept.body), body);
    }

    #[test]
    fn answers_come_back_as_they_were() {
        check(b"");
        check("{\"a\": \"ä\"}".as_bytes());
        check(&[0xff, 0]);
        check("[1, 2]\n".repeat(200).as_bytes());
        check("[1, 2]\n".repeat(1 << 17).as_bytes());
    }

    #[test]
    fn a_body_that_packs_to_too_much_is_refused_and_a_long_one_that_does_not_is_kept() {
        let spaces = vec![b' '; 64 << 10];
        let mut packer = BodyPacker::new(64 << 10);
        for _ in 0..100 {
            packer.put(&spaces).unwrap();
        }
        assert_eq!(packer.finish().unwrap().len(), 100 * (64 << 10));
        let mut packer = BodyPacker::new(64 << 10);
        let noise = |n: u32| blake3::hash(&n.to_le_bytes());
        let put = (0..1 << 14).try_for_each(|n| packer.put(noise(n).as_bytes()));
        let refused = put.and_then(|()| packer.finish().map(drop));
        assert!(matches!(refused, Err(Error::TooLarge(_))), "{refused:?}");
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
