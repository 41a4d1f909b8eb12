//! Arrow IPC streams: however they are cut, and whatever is in them.

use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use proptest::sample::Index;

use super::{Seen, decode, drive, rows, small_batches, things};
use crate::decode::{DecodeError, DecodeErrorCode, DecodeOptions, InputFormat, decoder};

fn batch(from: i64, count: i64) -> RecordBatch {
    let texts: StringArray = (from..from + count)
        .map(|n| (n % 3 > 0).then(|| format!("t{n}")))
        .collect();
    let numbers: Int64Array = (from..from + count).map(Some).collect();
    let columns: [(&str, ArrayRef); 2] = [("a", Arc::new(texts)), ("b", Arc::new(numbers))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap()
}

fn stream(batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let schema = batches[0].schema();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn plain(batches: &[RecordBatch]) -> Vec<u8> {
    stream(batches, IpcWriteOptions::default())
}

fn read(body: &[u8], chunk: usize) -> (Vec<Seen>, Result<(), DecodeError>) {
    let mut decoder = decoder(InputFormat::ArrowStream, things(), small_batches());
    let (batches, outcome) = drive(decoder.as_mut(), body.chunks(chunk));
    let outcome = outcome.and_then(|()| decoder.finish());
    (batches.into_iter().map(Seen::from).collect(), outcome)
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    let body = plain(&[batch(0, 7), batch(7, 0), batch(7, 2)]);
    let (whole, outcome) = read(&body, body.len());
    assert_eq!(outcome, Ok(()));
    let firsts: Vec<_> = whole.iter().map(|b| (b.origin.first, b.len)).collect();
    assert_eq!(firsts, [(0, 3), (3, 3), (6, 1), (7, 2)]);
    for chunk in [1, 2, 3, 7, 64, 100] {
        assert_eq!(
            read(&body, chunk),
            (read(&body, body.len()).0, Ok(())),
            "{chunk}"
        );
    }
    for len in 0..body.len() {
        let (_, outcome) = read(&body[..len], 50);
        // The end needs no mark, so a stream may stop between two messages.
        if let Err(error) = outcome {
            let code = error.code;
            assert!(
                matches!(
                    code,
                    DecodeErrorCode::Truncated | DecodeErrorCode::MalformedArrow
                ),
                "{len}: {error:?}"
            );
        }
    }
}

#[test]
fn values_come_as_they_are() {
    let keys = Int32Array::from(vec![Some(0), None, Some(0)]);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let texts: ArrayRef = Arc::new(DictionaryArray::new(keys, texts));
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    let batch =
        RecordBatch::try_from_iter_with_nullable([("a", texts, true), ("b", numbers, true)]);
    let batches = decode(
        InputFormat::ArrowStream,
        &things(),
        &plain(&[batch.unwrap()]),
    )
    .unwrap();
    let found = rows(&batches[0]);
    let seen = |at: usize| [found[at]["a"].clone(), found[at]["b"].clone()];
    assert_eq!(
        serde_json::json!([seen(0), seen(1), seen(2)]),
        serde_json::json!([["x", 1], [null, 2], ["x", 3]])
    );
}

#[test]
fn what_has_no_bounds_is_refused() {
    let body = plain(&[batch(0, 5_000)]);
    let options = DecodeOptions {
        held_bytes_max: 10_000,
        ..DecodeOptions::default()
    };
    let mut small = decoder(InputFormat::ArrowStream, things(), options);
    let error = small.push(&body).unwrap_err();
    assert_eq!(error.code, DecodeErrorCode::TooLarge);
    for codec in [CompressionType::ZSTD, CompressionType::LZ4_FRAME] {
        let options = IpcWriteOptions::default().try_with_compression(Some(codec));
        let packed = stream(&[batch(0, 5_000)], options.unwrap());
        let error = read(&packed, 100).1.unwrap_err();
        assert_eq!(error.code, DecodeErrorCode::MalformedArrow);
        assert!(error.message.contains("compressed"), "{error}");
    }
    let nothing: ArrayRef = Arc::new(arrow_array::NullArray::new(1_000));
    let nulls = RecordBatch::try_from_iter_with_nullable([("a", nothing, true)]).unwrap();
    let error = read(&plain(&[nulls]), 100).1.unwrap_err();
    assert!(error.message.contains("more records"), "{error}");
}

#[test]
fn a_column_of_another_kind_is_told() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("j", numbers)]).unwrap();
    let error = read(&plain(&[batch]), 1_000).1.unwrap_err();
    assert_eq!(
        (error.code, &*error.pointer),
        (DecodeErrorCode::MalformedArrow, "/j")
    );
}

proptest! {
    /// Whatever a body holds, it is read or refused.
    #[test]
    fn no_body_is_fatal(
        edits in vec((any::<Index>(), any::<u8>()), 1..6),
        chunk in 1_usize..200,
    ) {
        let mut body = plain(&[batch(0, 9), batch(9, 4)]);
        for (at, byte) in edits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = read(&body, chunk);
    }
}
