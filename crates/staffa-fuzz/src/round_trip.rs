//! What was read is written in every format and read again as the same.

use arrow_array::{ArrayRef, RecordBatch};

use staffa_codec::decode::{InputFormat, decoder};
use staffa_codec::encode::{OutputFormat, Shape, encoder};
use staffa_domain::{DecodedBatch, RecordId, Timestamp, validate};

use crate::common::{lenient, options};

const FORMATS: [(OutputFormat, InputFormat); 4] = [
    (OutputFormat::NdJson, InputFormat::NdJson),
    (OutputFormat::Csv, InputFormat::Csv),
    (OutputFormat::ArrowStream, InputFormat::ArrowStream),
    (OutputFormat::Parquet, InputFormat::Parquet),
];

/// Checks the records of a batch that are valid.
#[track_caller]
pub(crate) fn check(batch: DecodedBatch) {
    let (valid, _) = validate(batch);
    if valid.is_empty() {
        return;
    }
    let ids = vec![RecordId::from_bytes([1; 16]); valid.len()];
    let stamped = valid.stamp(&ids, Timestamp::from_micros(0));
    let records = stamped.records();
    for (output, input) in FORMATS {
        let bytes = write(&stamped, output);
        let again = read(input, &bytes);
        let before = &records.columns()[records.num_columns() - again.len()..];
        assert_eq!(again, before, "{output:?} changes a record");
    }
}

fn write(stamped: &staffa_domain::StampedBatch, format: OutputFormat) -> Vec<u8> {
    let records: &RecordBatch = stamped.records();
    let mut out = Vec::new();
    let mut encoder = encoder(format, stamped.schema(), None, Shape::Data);
    let written = encoder
        .start(&mut out)
        .and_then(|()| encoder.encode(records, &mut out))
        .and_then(|()| encoder.finish(&mut out));
    assert!(written.is_ok(), "{format:?}: {written:?}");
    out
}

/// The properties of the only batch; the system fields are left out as unknown.
fn read(format: InputFormat, bytes: &[u8]) -> Vec<ArrayRef> {
    let options = staffa_codec::decode::DecodeOptions {
        batch_rows: usize::MAX,
        batch_bytes: usize::MAX,
        record_bytes_max: usize::MAX,
        held_bytes_max: 64 << 20,
        depth_max: 128,
        ..options()
    };
    let options = staffa_codec::decode::DecodeOptions {
        batch_rows: 1 << 16,
        ..options
    };
    let mut decoder = decoder(format, lenient(), options);
    let read = decoder.push(bytes).and_then(|()| decoder.finish());
    assert!(read.is_ok(), "{format:?}: {read:?}");
    let batch = decoder.take();
    let batch = batch.unwrap_or_else(|| panic!("{format:?}: nothing was written"));
    assert!(
        decoder.take().is_none(),
        "{format:?}: more than was written"
    );
    assert!(batch.errors.is_empty(), "{format:?}: {:?}", batch.errors);
    batch.properties
}
