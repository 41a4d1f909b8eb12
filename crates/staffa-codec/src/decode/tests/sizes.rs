//! What records come to that their text does not show, and what decoders hold: both are bounded,
//! and told.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Int16Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use staffa_domain::schema::SchemaSnapshot;

use super::{Seen, drive, rows, schema, things};
use crate::decode::{
    DecodeErrorCode, DecodeOptions, EnvelopeDecoder, InputFormat, MergePatch, decoder, piece_bytes,
};

/// What each record takes that is in none of the lines.
const LONG: usize = 1_000;

fn with_defaults() -> Arc<SchemaSnapshot> {
    let items = vec!["7"; LONG / 8].join(", ");
    let text = "x".repeat(LONG);
    schema(&format!(
        "name: defaults\nproperties:\n  - {{name: a, type: string, default: {text}}}\n  \
         - {{name: b, type: array, items: integer, default: [{items}]}}\n  \
         - {{name: c, type: integer}}\n"
    ))
}

#[test]
fn defaults_fill_batches() {
    let options = DecodeOptions {
        batch_bytes: 5 * LONG,
        ..DecodeOptions::default()
    };
    for (format, body) in [
        (InputFormat::NdJson, "{}\n".repeat(10)),
        (InputFormat::Csv, format!("c\n{}", "1\n".repeat(10))),
    ] {
        let mut decoder = decoder(format, with_defaults(), options.clone());
        let (batches, outcome) = drive(decoder.as_mut(), [body.as_bytes()]);
        assert_eq!(outcome, Ok(()));
        let lens: Vec<usize> = batches.iter().map(|batch| batch.len).collect();
        assert_eq!(lens, [3, 3, 3, 1], "{format:?}");
    }
}

#[test]
fn a_piece_is_as_short_as_its_records_may_be_long() {
    let all = piece_bytes(&things(), false);
    assert_eq!(all, 64 << 10, "records of few bytes come in long pieces");
    let schema = with_defaults();
    let piece = piece_bytes(&schema, false);
    // Even if each byte were a record, they would take no more than this.
    assert!(piece * 2 * LONG <= 8 << 20, "{piece}");
    assert!(piece * 3 * LONG > 8 << 20, "{piece}");
    assert_eq!(
        piece_bytes(&schema, true),
        64 << 10,
        "parts have no defaults"
    );
}

#[test]
fn batches_of_wide_schemas_are_shorter() {
    let mut document = String::from("name: wide\nproperties:\n");
    for n in 0..500 {
        writeln!(document, "  - {{name: p{n}, type: uuid}}").unwrap();
    }
    let mut decoder = decoder(
        InputFormat::NdJson,
        schema(&document),
        DecodeOptions::default(),
    );
    let body = "{}\n".repeat(8_000);
    let (batches, outcome) = drive(decoder.as_mut(), [body.as_bytes()]);
    assert_eq!(outcome, Ok(()));
    let longest = batches.iter().map(|batch| batch.len).max().unwrap();
    let bytes = longest * 500 * 16;
    assert!((8 << 20..=16 << 20).contains(&bytes), "{longest}");
}

#[test]
fn errors_fill_batches() {
    let body = r#"{"p":1,"q":1,"r":1,"s":1,"t":1,"u":1,"v":1,"w":1,"x":1,"y":1}"#;
    let body = format!("{body}\n").repeat(2_000);
    let mut decoder = decoder(InputFormat::NdJson, things(), DecodeOptions::default());
    let (batches, outcome) = drive(decoder.as_mut(), [body.as_bytes()]);
    assert_eq!(outcome, Ok(()));
    let errors: Vec<usize> = batches.iter().map(|batch| batch.errors.len()).collect();
    assert_eq!(errors.iter().sum::<usize>(), 20_000);
    assert!(errors.iter().all(|count| *count <= 10_000), "{errors:?}");
}

#[test]
fn what_cannot_be_read_yet_is_held() {
    let begun = format!("{{\"a\":\"{}", "x".repeat(10_000));
    for (format, before) in [
        (InputFormat::Json, "["),
        (InputFormat::NdJson, ""),
        (InputFormat::Csv, "a\n"),
    ] {
        let mut decoder = decoder(format, things(), DecodeOptions::default());
        assert_eq!(decoder.held_bytes(), 0);
        let begun = begun.replace('"', if format == InputFormat::Csv { "" } else { "\"" });
        decoder.push(format!("{before}{begun}").as_bytes()).unwrap();
        assert!(decoder.held_bytes() >= 10_000, "{format:?}");
    }
}

fn stream(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn numbers(count: i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(0..count))
}

#[test]
fn defaults_of_columns_that_are_not_there_fill_batches() {
    let options = DecodeOptions {
        batch_bytes: 5 * LONG,
        ..DecodeOptions::default()
    };
    for (format, body) in [
        (InputFormat::ArrowStream, stream(vec![("c", numbers(5))])),
        (InputFormat::Parquet, file(vec![("c", numbers(5))])),
    ] {
        let mut decoder = decoder(format, with_defaults(), options.clone());
        let (batches, outcome) = drive(decoder.as_mut(), [&body[..]]);
        assert_eq!(outcome.and_then(|()| decoder.finish()), Ok(()));
        let lens: Vec<usize> = batches.iter().map(|batch| batch.len).collect();
        assert_eq!(lens, [2, 2, 1], "{format:?}");
        let found = batches.iter().flat_map(|batch| {
            let found = rows(batch);
            found.as_array().unwrap().clone()
        });
        let numbers: Vec<_> = found.map(|row| row["c"].as_i64().unwrap()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
    }
}

/// A column that names one long text so many times.
fn repeated(count: usize) -> ArrayRef {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(LONG)]));
    let keys = Int16Array::from(vec![0; count]);
    Arc::new(DictionaryArray::new(keys, texts))
}

#[test]
fn what_a_dictionary_stands_for_comes_in_pieces() {
    let body = stream(vec![("a", repeated(1_000)), ("b", numbers(1_000))]);
    let options = DecodeOptions {
        batch_bytes: 10 * LONG,
        held_bytes_max: 100 * LONG,
        ..DecodeOptions::default()
    };
    let mut decoder = decoder(InputFormat::ArrowStream, things(), options);
    let (batches, outcome) = drive(decoder.as_mut(), [&body[..]]);
    assert_eq!(outcome.and_then(|()| decoder.finish()), Ok(()));
    assert!(batches.iter().all(|batch| batch.len <= 40));
    let found = batches.iter().flat_map(|batch| {
        let found = rows(batch);
        found.as_array().unwrap().clone()
    });
    for (n, row) in found.enumerate() {
        assert_eq!(row["b"], n);
        assert_eq!(row["a"].as_str().unwrap().len(), LONG);
    }
    assert_eq!(batches.iter().map(|batch| batch.len).sum::<usize>(), 1_000);
}

#[test]
fn columns_share_what_they_may_come_to() {
    let names = ["p", "q", "r"];
    let lines = names.map(|name| format!("  - {{name: {name}, type: string}}\n"));
    let schema = schema(&format!("name: texts\nproperties:\n{}", lines.concat()));
    let read = |held_bytes_max| {
        let columns = names.map(|name| (name, repeated(4)));
        let body = stream(columns.into());
        let options = DecodeOptions {
            held_bytes_max,
            ..DecodeOptions::default()
        };
        let mut decoder = decoder(InputFormat::ArrowStream, Arc::clone(&schema), options);
        let (batches, outcome) = drive(decoder.as_mut(), [&body[..]]);
        (batches.len(), outcome.and_then(|()| decoder.finish()))
    };
    assert_eq!(read(20 * LONG), (1, Ok(())));
    // Each of them would fit.
    let (_, outcome) = read(10 * LONG);
    let error = outcome.unwrap_err();
    assert_eq!(error.pointer, "/r", "{error:?}");
}

#[test]
fn a_message_is_held_until_it_is_read() {
    let body = stream(vec![("b", numbers(1_000))]);
    let mut decoder = decoder(InputFormat::ArrowStream, things(), DecodeOptions::default());
    let (most, last) = body.split_at(body.len() - 100);
    decoder.push(most).unwrap();
    assert!(decoder.held_bytes() >= 7_000, "{}", decoder.held_bytes());
    decoder.push(last).unwrap();
    assert!(decoder.held_bytes() >= 8_000, "{}", decoder.held_bytes());
    while decoder.take().is_some() {}
    assert_eq!(decoder.held_bytes(), 0);
}

#[test]
fn a_file_is_held_with_the_pages_of_all_its_columns() {
    let texts = |letter: &str| -> ArrayRef {
        let text = |n| format!("{}{n}", letter.repeat(LONG));
        Arc::new(StringArray::from_iter_values((0..100).map(text)))
    };
    let names = ["p", "q", "r"];
    let lines = names.map(|name| format!("  - {{name: {name}, type: string}}\n"));
    let schema = schema(&format!("name: texts\nproperties:\n{}", lines.concat()));
    let columns = names.map(|name| (name, texts(name)));
    let body = file(columns.into());
    let mut decoder = decoder(InputFormat::Parquet, schema, DecodeOptions::default());
    decoder.push(&body).unwrap();
    assert!(decoder.held_bytes() >= body.len());
    decoder.finish().unwrap();
    let expected = body.len() + 3 * 100 * LONG;
    assert!(decoder.held_bytes() >= expected, "{}", decoder.held_bytes());
    let mut count = 0;
    while let Some(batch) = decoder.take() {
        count += batch.len;
    }
    assert_eq!(count, 100);
}

#[test]
fn fewer_records_are_read_at_once_where_all_columns_are_too_much() {
    let text = |n: i32| format!("{}{n}", "x".repeat(LONG));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..640).map(text)));
    let columns = [("p", Arc::clone(&texts)), ("q", texts)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_data_page_size_limit(4 * LONG)
        .set_write_batch_size(1)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    let body = writer.into_inner().unwrap();
    let lines = ["p", "q"].map(|name| format!("  - {{name: {name}, type: string}}\n"));
    let schema = schema(&format!("name: texts\nproperties:\n{}", lines.concat()));
    let read = |held_bytes_max| {
        let options = DecodeOptions {
            batch_rows: 640,
            held_bytes_max,
            ..DecodeOptions::default()
        };
        let mut decoder = decoder(InputFormat::Parquet, Arc::clone(&schema), options);
        let (batches, outcome) = drive(decoder.as_mut(), [&body[..]]);
        assert_eq!(outcome.and_then(|()| decoder.finish()), Ok(()));
        let lens = batches.iter().map(|batch| batch.len);
        (lens.clone().max(), lens.sum::<usize>())
    };
    assert_eq!(read(2_000 * LONG), (Some(640), 640));
    // Each column would fit.
    assert_eq!(read(1_000 * LONG), (Some(80), 640));
}

#[test]
fn records_before_the_name_are_read_in_pieces() {
    let records: Vec<String> = (0..1_000).map(|n| format!("{{\"b\":{n}}}")).collect();
    let body = format!(
        "{{\"data\":[{}],\"schema_name\":\"things\"}}",
        records.join(",")
    );
    let options = DecodeOptions {
        batch_rows: 10,
        ..DecodeOptions::default()
    };
    let begin = || {
        let mut decoder = EnvelopeDecoder::new(1 << 20);
        assert_eq!(decoder.push(body.as_bytes()).unwrap(), Some("things"));
        decoder
    };
    let mut whole = begin();
    whole.resolve(things(), options.clone()).unwrap();
    whole.finish().unwrap();
    let whole: Vec<Seen> = std::iter::from_fn(|| whole.take())
        .map(Seen::from)
        .collect();
    let mut pieces = begin();
    pieces.resolve_to(things(), options);
    let mut found = Vec::new();
    while pieces.read_on(100).unwrap() {
        let before = found.len();
        found.extend(std::iter::from_fn(|| pieces.take()).map(Seen::from));
        assert!(found.len() <= before + 2, "a piece is a few records");
    }
    pieces.finish().unwrap();
    found.extend(std::iter::from_fn(|| pieces.take()).map(Seen::from));
    assert_eq!(found, whole);
    let mut broken = EnvelopeDecoder::new(1 << 20);
    let body = r#"{"data":[{"b":1},{"b":x}],"schema_name":"things"}"#;
    broken.push(body.as_bytes()).unwrap();
    broken.resolve_to(things(), DecodeOptions::default());
    let error = loop {
        match broken.read_on(3) {
            Ok(true) => {}
            other => break other.unwrap_err(),
        }
    };
    assert_eq!(error.code, DecodeErrorCode::MalformedJson);
}

#[test]
fn a_patch_tells_how_much_it_gives() {
    let long = "x".repeat(LONG);
    let body = format!("{{\"a\":\"{long}\",\"i\":{{\"k\":\"{long}\"}}}}");
    let patch = MergePatch::read(things(), body.as_bytes()).unwrap();
    assert!((2 * LONG..10 * LONG).contains(&patch.bytes()));
}
