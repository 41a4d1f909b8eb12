//! However a body is cut, the batches and the error are the same.

use std::io::Write;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::Index;

use super::{Seen, drive, small_batches, things, unpack};
use crate::decode::{
    Compression, DecodeError, Decompressor, EnvelopeDecoder, InputFormat, decoder,
};

const LINES: &str = "{\"a\":\"é\\u00e9𝄞\\ud834\\udd1e\\\\\",\"b\":1}\r\n\n  {\"b\":-12e2,\"c\":1.25e-3}\n\
    {\"a\":\"x\",\"a\":\"y\"}\n[1]\n{\"i\":{ \"k\" : [ \"]}\\\"\" , {} ] },\"j\":[1,2,3]}\n\
    {\"zz\":{\"deep\":[1]},\"e\":true}\n{\"d\":\"1.50\",\"f\":\"2000-02-29\",\"h\":\"x\"}\n\
    {\"g\":\"2013-01-01T10:00:00Z\"} x\n{}\n{\"b\":9223372036854775808}\n{\"b\":3}";

const ARRAY: &str = " [ {\"a\":\"é\\u00e9𝄞\\ud834\\udd1e\\\\\",\"b\":1} , {\"b\":-12e2,\"c\":1.25e-3},\n\
    {\"a\":\"x\",\"a\":\"y\"},[1,\"]\"],-12.5e3,true,null,{\"i\":{ \"k\" : [ \"]}\\\"\" , {} ] },\"j\":[1,2,3]},\
    {\"zz\":{\"deep\":[1]},\"e\":false},\"text\",{},{\"b\":9223372036854775808},{\"b\":3} ] \n";

const CSV: &str = "\u{feff}a,b,c,i,j\r\n\"é,\"\"q\"\"\r\nnext\",1,2.5,{},[1]\r\n\
    plain,2,,\"{\"\"k\"\":[1,2]}\",\"[1,\"\"x\"\"]\"\r\n\r\n,x,,,\r\n\"\",3,NA,,\r\nshort\r\n\
    q\"x,1,1,,\r\n\"a\"b,1,1,,\r\nlast,4,1e2,null,[]";

type Outcome = (Vec<Seen>, Result<(), DecodeError>);

/// The bytes in pieces; every cut is a place in them.
fn cut<'a>(body: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts = cuts.to_vec();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for to in cuts {
        pieces.push(&body[from..to]);
        from = to;
    }
    pieces.push(&body[from..]);
    pieces
}

fn decoded(format: InputFormat, pieces: &[&[u8]]) -> Outcome {
    let mut decoder = decoder(format, things(), small_batches());
    let (batches, outcome) = drive(decoder.as_mut(), pieces.iter().copied());
    (batches.into_iter().map(Seen::from).collect(), outcome)
}

fn enveloped(pieces: &[&[u8]]) -> Outcome {
    let mut decoder = EnvelopeDecoder::new(1 << 20);
    let mut is_resolved = false;
    let mut outcome = Ok(());
    for piece in pieces {
        outcome = decoder.push(piece).map(|_| ());
        if outcome.is_ok() && !is_resolved && decoder.schema_name() == Some("things") {
            is_resolved = true;
            outcome = decoder.resolve(things(), small_batches());
        }
        if outcome.is_err() {
            break;
        }
    }
    if outcome.is_ok() {
        outcome = decoder.finish();
    }
    let batches = std::iter::from_fn(|| decoder.take());
    (batches.map(Seen::from).collect(), outcome)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // Two members, as `cat a.gz b.gz` makes them.
    let (a, b) = body.split_at(body.len() / 2);
    for part in [a, b] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        out.extend(encoder.finish().unwrap());
    }
    out
}

fn zstd(body: &[u8]) -> Vec<u8> {
    let (a, b) = body.split_at(body.len() / 2);
    let frames = [a, b].map(|part| zstd::bulk::compress(part, 3).unwrap());
    frames.concat()
}

fn decompressed(compression: Compression, pieces: &[&[u8]]) -> Outcome {
    let mut decompressor = Decompressor::new(compression).unwrap();
    let mut decoder = decoder(InputFormat::NdJson, things(), small_batches());
    let mut outcome = Ok(());
    for piece in pieces {
        outcome = unpack(&mut decompressor, piece, |part| decoder.push(part));
        if outcome.is_err() {
            break;
        }
    }
    if outcome.is_ok() {
        outcome = decompressor.finish(|part| decoder.push(part));
    }
    if outcome.is_ok() {
        outcome = decoder.finish();
    }
    let batches = std::iter::from_fn(|| decoder.take());
    (batches.map(Seen::from).collect(), outcome)
}

/// Whole, in every two pieces, and byte by byte.
#[track_caller]
fn always_alike(body: &[u8], read: impl Fn(&[&[u8]]) -> Outcome) -> Outcome {
    let whole = read(&[body]);
    for at in 0..=body.len() {
        assert_eq!(read(&cut(body, &[at])), whole, "cut at {at}");
    }
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(read(&bytes), whole, "byte by byte");
    whole
}

#[track_caller]
fn counts(outcome: &Outcome, records: usize, errors: usize) {
    assert_eq!(outcome.1, Ok(()));
    assert_eq!(
        outcome.0.iter().map(|batch| batch.len).sum::<usize>(),
        records
    );
    let found: Vec<_> = outcome.0.iter().flat_map(|batch| &batch.errors).collect();
    assert_eq!(found.len(), errors, "{found:#?}");
    let mut next = 0;
    for batch in &outcome.0 {
        assert!(batch.len <= 3);
        assert_eq!(batch.origin.first, next);
        next += batch.len as u64;
    }
}

#[test]
fn lines_may_be_cut_anywhere() {
    let read = |pieces: &[&[u8]]| decoded(InputFormat::NdJson, pieces);
    counts(&always_alike(LINES.as_bytes(), read), 11, 6);
}

#[test]
fn an_array_may_be_cut_anywhere() {
    let read = |pieces: &[&[u8]]| decoded(InputFormat::Json, pieces);
    counts(&always_alike(ARRAY.as_bytes(), read), 13, 8);
}

#[test]
fn csv_may_be_cut_anywhere() {
    let read = |pieces: &[&[u8]]| decoded(InputFormat::Csv, pieces);
    counts(&always_alike(CSV.as_bytes(), read), 8, 6);
}

#[test]
fn an_envelope_may_be_cut_anywhere() {
    let first = format!("{{ \"schema_name\" : \"things\" , \"data\" : {ARRAY} }} ");
    let last = format!("{{ \"data\":{ARRAY}, \"schem\\u0061_name\" : \"thin\\u0067s\"}}");
    let first = always_alike(first.as_bytes(), enveloped);
    let last = always_alike(last.as_bytes(), enveloped);
    counts(&first, 13, 8);
    assert_eq!(first, last);
}

#[test]
fn compressed_bodies_may_be_cut_anywhere() {
    let plain = decoded(InputFormat::NdJson, &[LINES.as_bytes()]);
    for (compression, body) in [
        (Compression::None, LINES.as_bytes().to_vec()),
        (Compression::Gzip, gzip(LINES.as_bytes())),
        (Compression::Zstd, zstd(LINES.as_bytes())),
    ] {
        let outcome = always_alike(&body, |pieces| decompressed(compression, pieces));
        assert_eq!(outcome, plain);
    }
}

#[test]
fn faults_are_the_same_however_they_are_cut() {
    for body in [
        "[{\"b\":1},{\"b\":2}x",
        "[{\"b\":1},{\"b\":]}]",
        "[{\"b\":1},{\"a\":\"\\x\"},{}]",
        "[{\"b\":1},{\"a\":\"\u{1}\"},{}]",
        "[{\"b\":1},tru]",
        "[{\"b\":1},[1,]]",
        "[{\"b\":1},{\"b\":1}",
        "[{\"b\":1},{\"b\":",
        "[{\"b\":1},{\"b\":1}]]",
        "[}",
        "x",
        "",
    ] {
        let read = |pieces: &[&[u8]]| decoded(InputFormat::Json, pieces);
        let (_, outcome) = always_alike(body.as_bytes(), read);
        assert!(outcome.is_err(), "{body}");
        let body = format!("{{\"schema_name\":\"things\",\"data\":{body}}}");
        let (_, outcome) = always_alike(body.as_bytes(), enveloped);
        assert!(outcome.is_err(), "{body}");
    }
}

#[test]
fn what_is_not_utf_8_is_the_same_however_it_is_cut() {
    let body = b"[{\"b\":1},{\"a\":\"\xff\"},{}]";
    let read = |pieces: &[&[u8]]| decoded(InputFormat::Json, pieces);
    assert!(always_alike(body, read).1.is_err());
    let lines = b"{\"b\":1}\n{\"a\":\"\xff\"}\n{}";
    let read = |pieces: &[&[u8]]| decoded(InputFormat::NdJson, pieces);
    counts(&always_alike(lines, read), 3, 1);
}

/// One record as JSON text, mostly a good one.
fn record() -> impl Strategy<Value = String> {
    let text = any::<String>().prop_map(|text| serde_json::json!(text).to_string());
    let member = prop_oneof![
        text.prop_map(|text| format!("\"a\":{text}")),
        any::<i64>().prop_map(|number| format!("\"b\" : {number}")),
        any::<f64>().prop_map(|number| format!("\"c\":{}", serde_json::json!(number))),
        Just("\"i\":{\"k\":[1,{\"l\":\"}\"}]}".to_owned()),
        Just("\"j\":[1, 2,\t3]".to_owned()),
        Just("\"e\":yes".to_owned()),
        Just("\"zz\":null".to_owned()),
    ];
    vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(",")))
}

proptest! {
    #[test]
    fn any_records_may_be_cut_anywhere(records in vec(record(), 0..12), cuts in vec(any::<Index>(), 0..20)) {
        let lines = records.join("\n");
        let array = format!("[{}]", records.join(","));
        let first = format!("{{\"schema_name\":\"things\",\"data\":{array}}}");
        let last = format!("{{\"data\":{array},\"schema_name\":\"things\"}}");
        let places = |body: &[u8]| -> Vec<usize> {
            cuts.iter().map(|cut| cut.index(body.len() + 1)).collect()
        };
        for (format, body) in [(InputFormat::NdJson, &lines), (InputFormat::Json, &array)] {
            let pieces = cut(body.as_bytes(), &places(body.as_bytes()));
            assert_eq!(decoded(format, &pieces), decoded(format, &[body.as_bytes()]));
        }
        for body in [&first, &last] {
            let pieces = cut(body.as_bytes(), &places(body.as_bytes()));
            assert_eq!(enveloped(&pieces), enveloped(&[body.as_bytes()]));
        }
        let plain = decoded(InputFormat::NdJson, &[lines.as_bytes()]);
        for (compression, body) in [
            (Compression::Gzip, gzip(lines.as_bytes())),
            (Compression::Zstd, zstd(lines.as_bytes())),
        ] {
            assert_eq!(decompressed(compression, &cut(&body, &places(&body))), plain);
        }
    }

    #[test]
    fn any_csv_may_be_cut_anywhere(body in "(a,b\n)?([a-z\"\",\r\n]{0,6}\n?){0,12}", cuts in vec(any::<Index>(), 0..20)) {
        let body = body.as_bytes();
        let places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        let whole = decoded(InputFormat::Csv, &[body]);
        assert_eq!(decoded(InputFormat::Csv, &cut(body, &places)), whole);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(body in vec(any::<u8>(), 0..200), json in "[\\[\\]{}\",:0-9eabn .\\\\]{0,60}") {
        for format in [InputFormat::Json, InputFormat::NdJson, InputFormat::Csv] {
            for body in [body.as_slice(), json.as_bytes()] {
                let mut one = decoder(format, Arc::clone(&things()), small_batches());
                let (batches, _) = drive(one.as_mut(), body.chunks(7));
                for batch in batches {
                    assert!(batch.properties.iter().all(|array| array.len() == batch.len));
                }
            }
        }
    }
}

#[test]
fn a_compressed_body_that_is_cut_off_or_spoilt_is_refused() {
    for (compression, body) in [
        (Compression::Gzip, gzip(LINES.as_bytes())),
        (Compression::Zstd, zstd(LINES.as_bytes())),
    ] {
        let (_, outcome) = decompressed(compression, &[&body[..body.len() - 3]]);
        assert_eq!(outcome.unwrap_err().code.as_str(), "truncated");
        let (_, outcome) = decompressed(compression, &[b"neither gzip nor zstd, whatever it says"]);
        assert_eq!(outcome.unwrap_err().code.as_str(), "malformed_compression");
        let (_, outcome) = decompressed(compression, &[]);
        assert_eq!(outcome.unwrap_err().code.as_str(), "truncated");
        let mut spoilt = body.clone();
        spoilt.extend_from_slice(b"rubbish after the end");
        assert!(decompressed(compression, &[&spoilt]).1.is_err());
    }
}
