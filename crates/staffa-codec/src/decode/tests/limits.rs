//! What is too deep, too large or too much, and what a decoder holds meanwhile.

use std::sync::Arc;

use staffa_domain::error::RecordErrorCode as Code;

use super::super::decode_object;
use super::{decode_one, drive, lenient, rows, things, unpack};
use crate::decode::array::ArrayDecoder;
use crate::decode::csv::CsvDecoder;
use crate::decode::ndjson::NdJsonDecoder;
use crate::decode::{
    BatchDecoder, Compression, DecodeError, DecodeErrorCode, DecodeOptions, Decompressor,
    InputFormat, decoder,
};

#[test]
fn deep_nesting_is_refused_and_needs_no_stack() {
    const DEPTH: usize = 100_000;
    for (open, close) in [("[", "]"), ("{\"x\":", "}")] {
        let deep = format!("{}0{}", open.repeat(DEPTH), close.repeat(DEPTH));
        for name in ["x", "i", "j", "b", "a"] {
            let body = format!("{{\"{name}\":{deep}}}");
            for schema in [things(), lenient()] {
                let error = decode_object(schema, body.as_bytes()).unwrap_err();
                assert_eq!(error.code, DecodeErrorCode::MalformedJson);
            }
            let lines = format!("{body}\n{deep}\n{{\"b\":1}}\n");
            let batch = decode_one(InputFormat::NdJson, &things(), lines.as_bytes());
            let codes: Vec<_> = batch.errors.iter().map(|error| error.code).collect();
            assert_eq!(codes, [Code::Malformed; 2]);
            assert_eq!(rows(&batch)[2]["b"], 1);
        }
        let mut array = decoder(InputFormat::Json, things(), DecodeOptions::default());
        let (_, outcome) = drive(array.as_mut(), [b"[", deep.as_bytes(), b"]"]);
        assert_eq!(outcome.unwrap_err().code, DecodeErrorCode::MalformedJson);
    }
    let open_only = "[".repeat(DEPTH);
    let mut array = decoder(InputFormat::Json, things(), DecodeOptions::default());
    assert!(drive(array.as_mut(), [open_only.as_bytes()]).1.is_err());
}

#[test]
fn depth_counts_the_record() {
    let options = DecodeOptions {
        depth_max: 3,
        ..DecodeOptions::default()
    };
    for (value, is_accepted) in [("{\"k\":{}}", true), ("{\"k\":{\"l\":[]}}", false)] {
        let body = format!("[{{\"i\":{value}}}]");
        let mut decoder = decoder(InputFormat::Json, things(), options.clone());
        let (_, outcome) = drive(decoder.as_mut(), [body.as_bytes()]);
        assert_eq!(outcome.is_ok(), is_accepted, "{body}");
    }
}

const RECORD_MAX: usize = 100_000;

fn limited() -> DecodeOptions {
    DecodeOptions {
        record_bytes_max: RECORD_MAX,
        ..DecodeOptions::default()
    }
}

/// Pushes a gigabyte of one record in small chunks, or as much as the decoder takes.
fn flood(start: &[u8], mut push: impl FnMut(&[u8]) -> Result<(), DecodeError>) -> usize {
    let chunk = [b'x'; 8_192];
    push(start).unwrap();
    for count in 1..=(1 << 30) / chunk.len() {
        if let Err(error) = push(&chunk) {
            assert_eq!(error.code, DecodeErrorCode::TooLarge);
            assert_eq!(error.index, Some(0));
            return count * chunk.len();
        }
    }
    panic!("a gigabyte was taken");
}

#[test]
fn a_record_without_end_is_refused_at_the_limit() {
    let lines = NdJsonDecoder::new(things(), limited());
    let array = ArrayDecoder::new(things(), limited());
    let csv = CsvDecoder::new(things(), limited());
    let decoders: [(&[u8], Box<dyn BatchDecoder>); 5] = [
        (b"{\"a\":\"", Box::new(lines)),
        (b"[{\"a\":\"", Box::new(array)),
        (b"a\n\"", Box::new(csv)),
        (b"[ 1", Box::new(ArrayDecoder::new(things(), limited()))),
        (b"a\n", Box::new(CsvDecoder::new(things(), limited()))),
    ];
    for (start, mut decoder) in decoders {
        let taken = flood(start, |chunk| decoder.push(chunk));
        assert!(taken <= RECORD_MAX + 8_192, "{taken}");
    }
}

#[test]
fn a_limit_is_exact_however_the_record_arrives() {
    let record = |len: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(len - 8));
    for (format, start, end) in [
        (InputFormat::Json, "[", "]"),
        (InputFormat::NdJson, "", "\n"),
    ] {
        for (len, is_accepted) in [(RECORD_MAX, true), (RECORD_MAX + 1, false)] {
            let body = format!("{start}{}{end}", record(len));
            for size in [1_000, body.len()] {
                let mut decoder = decoder(format, things(), limited());
                let (_, outcome) = drive(decoder.as_mut(), body.as_bytes().chunks(size));
                assert_eq!(outcome.is_ok(), is_accepted, "{format:?} {len} {size}");
            }
        }
    }
}

#[test]
fn a_compressed_flood_stops_at_the_limit() {
    use std::io::Write;

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(b"{\"a\":\"").unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..32 {
        encoder.write_all(&block).unwrap();
    }
    let gzip = encoder.finish().unwrap();
    let zstd = zstd::bulk::compress(&vec![b'x'; 32 << 20], 3).unwrap();
    for (compression, body) in [(Compression::Gzip, gzip), (Compression::Zstd, zstd)] {
        let mut decompressor = Decompressor::new(compression).unwrap();
        let mut lines = NdJsonDecoder::new(things(), limited());
        let mut seen = 0;
        let outcome = unpack(&mut decompressor, &body, |piece| {
            seen += piece.len();
            lines.push(piece)
        });
        assert_eq!(outcome.unwrap_err().code, DecodeErrorCode::TooLarge);
        assert!(seen <= RECORD_MAX + (64 << 10), "{seen}");
    }
}

#[test]
fn batches_end_by_rows_and_by_bytes() {
    let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(92));
    let body = line.repeat(10);
    for (batch_rows, batch_bytes, expected) in [
        (4, usize::MAX, vec![4, 4, 2]),
        (100, 250, vec![3, 3, 3, 1]),
        (1, 1, vec![1; 10]),
    ] {
        let options = DecodeOptions {
            batch_rows,
            batch_bytes,
            ..DecodeOptions::default()
        };
        let mut decoder = decoder(InputFormat::NdJson, things(), options);
        let (batches, outcome) = drive(decoder.as_mut(), [body.as_bytes()]);
        outcome.unwrap();
        let lens: Vec<usize> = batches.iter().map(|batch| batch.len).collect();
        assert_eq!(lens, expected);
    }
}

#[test]
fn what_was_complete_before_a_fault_can_be_taken() {
    let options = DecodeOptions {
        batch_rows: 2,
        ..DecodeOptions::default()
    };
    let mut decoder = decoder(InputFormat::Json, Arc::clone(&things()), options);
    let body = b"[{\"b\":1},{\"b\":2},{\"b\":3},{\"b\":x}]";
    let (batches, outcome) = drive(decoder.as_mut(), [&body[..]]);
    assert_eq!(outcome.unwrap_err().index, Some(3));
    assert_eq!(
        batches.iter().map(|batch| batch.len).collect::<Vec<_>>(),
        [2]
    );
}

#[test]
fn a_record_that_is_wrong_and_too_large_is_told_alike_however_it_arrives() {
    let filler = "x".repeat(RECORD_MAX);
    for (body, code) in [
        // Wrong within the limit, and wrong behind it.
        (
            format!("[{{\"b\":x,\"a\":\"{filler}\"}}]"),
            DecodeErrorCode::MalformedJson,
        ),
        (
            format!("[{{\"a\":\"{filler}\",\"b\":x}}]"),
            DecodeErrorCode::TooLarge,
        ),
        (
            format!("[1{}]", "0".repeat(RECORD_MAX)),
            DecodeErrorCode::TooLarge,
        ),
        // The limit cuts a character in two.
        (
            format!("[{{\"a\":\"{}\"}}]", "é".repeat(RECORD_MAX)),
            DecodeErrorCode::TooLarge,
        ),
    ] {
        let read = |size| {
            let mut decoder = decoder(InputFormat::Json, things(), limited());
            drive(decoder.as_mut(), body.as_bytes().chunks(size)).1
        };
        let error = read(body.len()).unwrap_err();
        assert_eq!((error.code, error.index), (code, Some(0)));
        for size in [1_000, RECORD_MAX - 1] {
            assert_eq!(read(size).unwrap_err(), error);
        }
    }
}
