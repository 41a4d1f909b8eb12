//! What decoders accept, what they refuse and where, and that chunks never matter.

mod arrow;
mod chunks;
mod csv;
mod envelope;
mod errors;
mod grammar;
mod limits;
mod merge;
mod parquet;
mod parts;
mod raw;
mod sizes;
mod transaction;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};

use staffa_domain::batch::{Given, Origin};
use staffa_domain::schema::SchemaSnapshot;
use staffa_domain::{DecodedBatch, RecordError};

use super::{BatchDecoder, DecodeError, DecodeOptions, Decompressor, InputFormat, decoder};
use crate::document::{DocumentForm, read_schema};
use crate::encode::encode_rows;

const THINGS: &str = "
name: things
properties:
  - {name: a, type: string}
  - {name: b, type: integer}
  - {name: c, type: number}
  - {name: d, type: decimal, precision: 10, scale: 2}
  - {name: e, type: boolean}
  - {name: f, type: date}
  - {name: g, type: datetime}
  - {name: h, type: uuid}
  - {name: i, type: object}
  - {name: j, type: array, items: integer}
";

fn schema(document: &str) -> Arc<SchemaSnapshot> {
    let schema = read_schema(document, DocumentForm::Yaml).unwrap();
    Arc::new(SchemaSnapshot::first(schema))
}

fn things() -> Arc<SchemaSnapshot> {
    schema(THINGS)
}

/// As [`things`], with properties that the schema does not know left out in silence.
fn lenient() -> Arc<SchemaSnapshot> {
    schema(&format!("{THINGS}unknown_properties: ignore\n"))
}

fn small_batches() -> DecodeOptions {
    DecodeOptions {
        batch_rows: 3,
        batch_bytes: 200,
        ..DecodeOptions::default()
    }
}

/// Decompresses all of a chunk, and no more at once than is promised.
fn unpack(
    decompressor: &mut Decompressor,
    chunk: &[u8],
    mut out: impl FnMut(&[u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut rest = Some(chunk);
    while let Some(chunk) = rest {
        let mut bytes = 0;
        rest = decompressor.push(chunk, |piece| {
            bytes += piece.len();
            out(piece)
        })?;
        assert!(bytes <= 64 << 10, "{bytes}");
    }
    Ok(())
}

/// All that a batch holds, in a form that compares.
#[derive(Debug, PartialEq)]
struct Seen {
    properties: Vec<ArrayRef>,
    len: usize,
    given: Option<Vec<Given>>,
    origin: Origin,
    errors: Vec<RecordError>,
}

impl From<DecodedBatch> for Seen {
    fn from(batch: DecodedBatch) -> Self {
        Self {
            properties: batch.properties,
            len: batch.len,
            given: batch.given,
            origin: batch.origin,
            errors: batch.errors,
        }
    }
}

/// Pushes the chunks; answers the batches and how it ended.
fn drive<'a>(
    decoder: &mut dyn BatchDecoder,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<DecodedBatch>, Result<(), DecodeError>) {
    let mut outcome = Ok(());
    let mut batches = Vec::new();
    for chunk in chunks {
        outcome = decoder.push(chunk);
        batches.extend(std::iter::from_fn(|| decoder.take()));
        if outcome.is_err() {
            return (batches, outcome);
        }
    }
    if outcome.is_ok() {
        outcome = decoder.finish();
    }
    batches.extend(std::iter::from_fn(|| decoder.take()));
    (batches, outcome)
}

fn decode(
    format: InputFormat,
    schema: &Arc<SchemaSnapshot>,
    body: &[u8],
) -> Result<Vec<DecodedBatch>, DecodeError> {
    let mut decoder = decoder(format, Arc::clone(schema), DecodeOptions::default());
    let (batches, outcome) = drive(decoder.as_mut(), [body]);
    outcome.map(|()| batches)
}

/// The only batch of a body.
#[track_caller]
fn decode_one(format: InputFormat, schema: &Arc<SchemaSnapshot>, body: &[u8]) -> DecodedBatch {
    let mut batches = decode(format, schema, body).unwrap();
    assert_eq!(batches.len(), 1);
    batches.remove(0)
}

/// The records of a batch as a JSON array of objects.
fn rows(batch: &DecodedBatch) -> serde_json::Value {
    let layout = Arc::clone(batch.schema.property_layout());
    let batch = RecordBatch::try_new(layout, batch.properties.clone()).unwrap();
    let mut out = b"[".to_vec();
    encode_rows(&batch, &mut out, &mut true).unwrap();
    out.push(b']');
    serde_json::from_slice(&out).unwrap()
}

/// One value of the first record of a batch.
fn value(batch: &DecodedBatch, name: &str) -> serde_json::Value {
    rows(batch)[0][name].clone()
}
