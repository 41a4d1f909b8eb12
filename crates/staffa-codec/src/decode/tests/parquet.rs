//! Parquet files: however they are cut into chunks, and whatever is in them.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{Seen, drive, small_batches, things};
use crate::decode::{DecodeError, DecodeErrorCode, DecodeOptions, InputFormat, decoder};

fn file(texts: Vec<Option<String>>, compression: Compression) -> Vec<u8> {
    let numbers: Int64Array = (0..).take(texts.len()).map(Some).collect();
    let texts = StringArray::from(texts);
    let columns: [(&str, ArrayRef); 2] = [("a", Arc::new(texts)), ("b", Arc::new(numbers))];
    let columns = columns.map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_dictionary_enabled(false)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn ten() -> Vec<u8> {
    let texts = (0..10)
        .map(|n| (n % 3 > 0).then(|| format!("t{n}")))
        .collect();
    file(texts, Compression::SNAPPY)
}

fn read(body: &[u8], chunk: usize, options: DecodeOptions) -> (Vec<Seen>, Result<(), DecodeError>) {
    let mut decoder = decoder(InputFormat::Parquet, things(), options);
    let (batches, outcome) = drive(decoder.as_mut(), body.chunks(chunk));
    let outcome = outcome.and_then(|()| decoder.finish());
    (batches.into_iter().map(Seen::from).collect(), outcome)
}

#[test]
fn a_file_may_come_in_any_chunks() {
    let body = ten();
    let (whole, outcome) = read(&body, body.len(), small_batches());
    assert_eq!(outcome, Ok(()));
    let lens: Vec<_> = whole
        .iter()
        .map(|batch| (batch.origin.first, batch.len))
        .collect();
    assert_eq!(lens, [(0, 3), (3, 3), (6, 3), (9, 1)]);
    for chunk in [1, 7, 100] {
        assert_eq!(
            read(&body, chunk, small_batches()),
            (read(&body, body.len(), small_batches()).0, Ok(()))
        );
    }
}

#[test]
fn a_cut_file_is_none() {
    let body = ten();
    for len in 0..body.len() {
        let (batches, outcome) = read(&body[..len], 64, small_batches());
        let code = outcome.unwrap_err().code;
        assert_eq!(
            (batches.len(), code),
            (0, DecodeErrorCode::MalformedParquet),
            "{len}"
        );
    }
}

#[test]
fn a_damaged_file_is_refused_or_read() {
    let body = ten();
    for at in 0..body.len() {
        let mut damaged = body.clone();
        damaged[at] ^= 0x10;
        // A value may be another one; what matters is that it ends, and not in a panic.
        let (_, outcome) = read(&damaged, body.len(), small_batches());
        if let Err(error) = outcome {
            let known = [
                DecodeErrorCode::MalformedParquet,
                DecodeErrorCode::TooLarge,
                DecodeErrorCode::UnknownProperty,
            ];
            assert!(known.contains(&error.code), "{at}: {error:?}");
        }
    }
}

#[test]
fn what_is_held_is_bounded() {
    let body = ten();
    let mut options = small_batches();
    options.held_bytes_max = body.len() - 1;
    let (_, outcome) = read(&body, 64, options.clone());
    assert_eq!(outcome.unwrap_err().code, DecodeErrorCode::TooLarge);
    // A megabyte that is packed into a few kilobytes.
    let texts = (0..100)
        .map(|n| Some(format!("{}{n}", "x".repeat(10_000))))
        .collect();
    let body = file(texts, Compression::ZSTD(ZstdLevel::try_new(1).unwrap()));
    options.held_bytes_max = 100_000;
    assert!(body.len() < options.held_bytes_max);
    let (batches, outcome) = read(&body, body.len(), options);
    assert_eq!(
        (batches.len(), outcome.unwrap_err().code),
        (0, DecodeErrorCode::TooLarge)
    );
}
