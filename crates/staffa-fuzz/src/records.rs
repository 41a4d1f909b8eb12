//! Bodies of records in every format, and one record alone.

use arrow_array::{Array, ArrayRef};

use staffa_codec::decode::{
    BatchDecoder, Compression, DecodeError, Decompressor, InputFormat, decode_object, decoder,
};
use staffa_domain::batch::{Given, Origin};
use staffa_domain::{DecodedBatch, RecordError};

use crate::common::{check_decode_error, check_record_error, cuts, lenient, options, things};
use crate::round_trip;

/// The most batches that are taken of one body: a few bytes of Parquet stand for any number of
/// nulls, which are batches one after the other and never many at once.
const BATCHES_MAX: usize = 512;

/// What a compressed body may come to here.
const UNPACKED_MAX: usize = 64 << 10;

/// All that a batch holds, in a form that compares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    properties: Vec<ArrayRef>,
    len: usize,
    given: Option<Vec<Given>>,
    origin: Origin,
    errors: Vec<RecordError>,
}

impl From<&DecodedBatch> for Seen {
    fn from(batch: &DecodedBatch) -> Self {
        Self {
            properties: batch.properties.clone(),
            len: batch.len,
            given: batch.given.clone(),
            origin: batch.origin.clone(),
            errors: batch.errors.clone(),
        }
    }
}

/// The batches of a body and how it ended.
type Outcome = (Vec<DecodedBatch>, Result<(), DecodeError>);

pub(crate) fn seen((batches, outcome): &Outcome) -> (Vec<Seen>, Result<(), DecodeError>) {
    (batches.iter().map(Seen::from).collect(), outcome.clone())
}

fn drive(decoder: &mut dyn BatchDecoder, chunks: &[&[u8]]) -> Outcome {
    let mut batches = Vec::new();
    for chunk in chunks {
        let outcome = decoder.push(chunk);
        take(decoder, &mut batches);
        if outcome.is_err() {
            return (batches, outcome);
        }
    }
    let mut outcome = decoder.finish();
    take(decoder, &mut batches);
    if outcome.is_ok() && batches.len() < BATCHES_MAX {
        outcome = decoder.finish();
    }
    (batches, outcome)
}

fn take(decoder: &mut dyn BatchDecoder, batches: &mut Vec<DecodedBatch>) {
    let most = BATCHES_MAX.saturating_sub(batches.len());
    batches.extend(std::iter::from_fn(|| decoder.take()).take(most));
}

/// Checks what is true of the batches of any body.
#[track_caller]
pub(crate) fn check_batches(batches: &[DecodedBatch], outcome: &Result<(), DecodeError>) {
    let mut next = 0;
    for batch in batches {
        assert_eq!(batch.origin.first, next, "batches follow each other");
        next += batch.len as u64;
        let layout = batch.schema.property_layout().fields();
        assert_eq!(batch.properties.len(), layout.len());
        for (array, field) in batch.properties.iter().zip(layout) {
            assert_eq!(array.len(), batch.len, "{}", field.name());
            assert_eq!(array.data_type(), field.data_type(), "{}", field.name());
            let valid = array.to_data().validate_full();
            assert!(valid.is_ok(), "{}: {valid:?}", field.name());
        }
        if let Some(lines) = &batch.origin.lines {
            assert_eq!(lines.len(), batch.len);
            assert!(lines.is_sorted());
        }
        assert!(batch.errors.is_sorted_by_key(|error| error.index));
        for error in &batch.errors {
            assert!((batch.origin.first..next).contains(&error.index));
            check_record_error(error);
        }
    }
    if let Err(error) = outcome {
        check_decode_error(error);
    }
}

fn check(format: InputFormat, bytes: &[u8], rows_max: usize) {
    let open = |parts| {
        let options = staffa_codec::decode::DecodeOptions { parts, ..options() };
        decoder(format, things(), options)
    };
    let whole = drive(open(false).as_mut(), &[bytes]);
    check_batches(&whole.0, &whole.1);
    let rows: usize = whole.0.iter().map(|batch| batch.len).sum();
    assert!(rows <= rows_max, "{rows} records of {} bytes", bytes.len());
    for pieces in cuts(bytes) {
        let cut = drive(open(false).as_mut(), &pieces);
        assert_eq!(seen(&cut), seen(&whole), "chunks change what is read");
    }
    let parts = drive(open(true).as_mut(), &[bytes]);
    check_batches(&parts.0, &parts.1);
    assert_eq!(parts.1, whole.1, "parts are read by the same rules");
    let open = decoder(format, lenient(), options());
    let lenient = drive({ open }.as_mut(), &[bytes]);
    check_batches(&lenient.0, &lenient.1);
    if let Some(first) = whole.0.into_iter().next() {
        round_trip::check(first);
    }
}

/// A JSON array of records.
pub(crate) fn check_json(bytes: &[u8]) {
    check(InputFormat::Json, bytes, bytes.len());
}

/// A record a line.
pub(crate) fn check_ndjson(bytes: &[u8]) {
    check(InputFormat::NdJson, bytes, bytes.len());
}

/// CSV with a header.
pub(crate) fn check_csv(bytes: &[u8]) {
    check(InputFormat::Csv, bytes, bytes.len());
}

/// A stream of Arrow IPC.
pub(crate) fn check_arrow(bytes: &[u8]) {
    check(
        InputFormat::ArrowStream,
        bytes,
        bytes.len().saturating_mul(8),
    );
}

/// A Parquet file.
pub(crate) fn check_parquet(bytes: &[u8]) {
    check(InputFormat::Parquet, bytes, usize::MAX);
}

/// One record, alone and as the only one of a list.
pub(crate) fn check_record(bytes: &[u8]) {
    let batch = match decode_object(things(), bytes) {
        Ok(batch) => batch,
        Err(error) => return check_decode_error(&error),
    };
    let alone = (vec![batch], Ok(()));
    check_batches(&alone.0, &alone.1);
    let options = staffa_codec::decode::DecodeOptions::default();
    let mut list = decoder(InputFormat::Json, things(), options);
    let listed = drive(list.as_mut(), &[b"[", bytes, b"]"]);
    assert_eq!(
        seen(&listed),
        seen(&alone),
        "a record alone is read as in a list"
    );
    for batch in alone.0 {
        round_trip::check(batch);
    }
}

/// A compressed body of records, by each way of compression that there is.
pub(crate) fn check_compressed(bytes: &[u8]) {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let whole = unpack(compression, &[bytes]);
        for pieces in cuts(bytes) {
            let cut = unpack(compression, &pieces);
            // What is given up at the limit is given up at any fault behind it.
            if whole.is_some() && cut.is_some() {
                assert_eq!(cut, whole, "chunks change what unpacks");
            }
        }
        if let Some(Err(error)) = &whole {
            check_decode_error(error);
        }
    }
}

/// Unpacks a body; none when it comes to more than the limit.
fn unpack(compression: Compression, chunks: &[&[u8]]) -> Option<Result<Vec<u8>, DecodeError>> {
    let mut out = Vec::new();
    let mut is_full = false;
    let outcome = unpack_into(compression, chunks, &mut |piece: &[u8]| {
        is_full |= out.len() + piece.len() > UNPACKED_MAX;
        if !is_full {
            out.extend_from_slice(piece);
        }
        is_full
    });
    (!is_full).then(|| outcome.map(|()| out))
}

/// Ends where `stop` says so.
fn unpack_into(
    compression: Compression,
    chunks: &[&[u8]],
    stop: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<(), DecodeError> {
    let mut decompressor = Decompressor::new(compression)?;
    let mut is_over = false;
    for chunk in chunks {
        let mut rest = Some(*chunk);
        while let Some(chunk) = rest.filter(|_| !is_over) {
            let mut bytes = 0;
            rest = decompressor.push(chunk, |piece| {
                bytes += piece.len();
                is_over |= stop(piece);
                Ok::<_, DecodeError>(())
            })?;
            assert!(bytes <= 64 << 10, "{bytes} bytes at once");
        }
    }
    if is_over {
        return Ok(());
    }
    decompressor.finish(|piece| {
        stop(piece);
        Ok(())
    })
}
