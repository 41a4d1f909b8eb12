//! Arrow IPC streams: however they are cut, and whatever is in them.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int8Array, Int32Array, Int64Array, LargeStringArray,
    ListArray, NullArray, RecordBatch, RunArray, StringArray, StringViewArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field};
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
    let nothing: ArrayRef = Arc::new(NullArray::new(1_000));
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

fn one_column(name: &str, column: ArrayRef) -> Vec<u8> {
    plain(&[RecordBatch::try_from_iter_with_nullable([(name, column, true)]).unwrap()])
}

#[test]
fn what_stands_for_much_by_few_bytes_is_refused() {
    let text = "x".repeat(10_000);
    let keys = || Int8Array::from(vec![0; 20]);
    let large: ArrayRef = Arc::new(LargeStringArray::from(vec![text.as_str()]));
    let dictionary: ArrayRef = Arc::new(DictionaryArray::new(keys(), large));
    let ends = Int32Array::from(vec![20]);
    let runs = RunArray::try_new(&ends, &StringArray::from(vec![text.as_str()])).unwrap();
    let views = StringViewArray::from(vec![text.as_str()]);
    let views = arrow_select::take::take(&views, &Int32Array::from(vec![0; 20]), None).unwrap();
    for column in [dictionary, Arc::new(runs), views] {
        let kind = column.data_type().clone();
        let body = one_column("a", column);
        let read = |held_bytes_max| {
            let options = DecodeOptions {
                held_bytes_max,
                ..DecodeOptions::default()
            };
            let mut decoder = decoder(InputFormat::ArrowStream, things(), options);
            let (batches, outcome) = drive(decoder.as_mut(), [&body[..]]);
            (batches.len(), outcome.and_then(|()| decoder.finish()))
        };
        assert_eq!(read(300_000), (1, Ok(())), "{kind}");
        let (count, outcome) = read(100_000);
        let error = outcome.unwrap_err();
        assert!(
            error.message.contains("comes to more than"),
            "{kind}: {error}"
        );
        assert_eq!(count, 0);
    }
}

#[test]
fn items_that_take_nothing_are_counted() {
    let field = Arc::new(Field::new("item", DataType::Null, true));
    let list = |len: usize| -> ArrayRef {
        let items = Arc::new(NullArray::new(len));
        let offsets = OffsetBuffer::from_lengths([len]);
        Arc::new(ListArray::new(Arc::clone(&field), offsets, items, None))
    };
    let error = read(&one_column("j", list(100_000)), 1_000).1.unwrap_err();
    assert!(error.message.contains("more values"), "{error}");
    // As many as there are bits for are read, and each is a flaw of its record.
    let (batches, outcome) = read(&one_column("j", list(3)), 1_000);
    assert_eq!(outcome, Ok(()));
    let pointers: Vec<_> = batches[0].errors.iter().map(|e| &*e.pointer).collect();
    assert_eq!(pointers, ["/j/0", "/j/1", "/j/2"]);
}

#[test]
fn the_items_of_one_list_are_told_up_to_a_limit() {
    let mut lists = ListBuilder::new(Int64Builder::new());
    lists.append_value((0..70_000).map(|n| (n % 10 > 0).then_some(n)));
    lists.append_value([Some(1), None]);
    lists.append_null();
    lists.append_value([Some(2)]);
    let (batches, outcome) = read(&one_column("j", Arc::new(lists.finish())), 1 << 20);
    assert_eq!(outcome, Ok(()));
    assert_eq!(batches[0].errors.len(), 101);
    assert_eq!(batches[0].errors[1].pointer, "/j/10");
    assert_eq!(batches[0].errors[100].pointer, "/j/1");
    assert_eq!(batches[0].errors[100].index, 1);
    assert_eq!(batches[1].errors, []);
    let found: ArrayRef = Arc::clone(&batches[1].properties[9]);
    assert_eq!(found.len(), 1);
    assert!(found.is_valid(0));
}
