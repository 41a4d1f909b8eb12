//! Samples of every format: the types that are proposed, and that the sample can be stored.

mod accepted;
mod arrow;

use std::sync::Arc;

use staffa_domain::infer::{Proposal, RemarkCode};
use staffa_domain::schema::SchemaSnapshot;
use staffa_domain::{DecodedBatch, RecordError, validate};

use super::{SampleOptions, Sampler};
use crate::decode::{CsvOptions, DecodeError, DecodeOptions, InputFormat, decoder};
use crate::document::{DocumentForm, proposal_yaml, read_schema};

fn options(rows_max: u64) -> SampleOptions {
    SampleOptions {
        decode: DecodeOptions::default(),
        rows_max,
        bytes_max: u64::MAX,
        prints_max: 100_000,
    }
}

fn try_infer(format: InputFormat, body: &[u8], chunk: usize) -> Result<Proposal, DecodeError> {
    let mut sampler = Sampler::new(format, options(u64::MAX));
    for chunk in body.chunks(chunk.max(1)) {
        sampler.push(chunk)?;
    }
    Ok(sampler.finish()?.propose("things"))
}

fn infer(format: InputFormat, body: impl AsRef<[u8]>) -> Proposal {
    try_infer(format, body.as_ref(), usize::MAX).unwrap()
}

/// Name and type of each property, with `!` where it is required.
fn types(proposal: &Proposal) -> String {
    let properties = proposal.schema.properties.iter();
    let types = properties.map(|property| {
        let mark = if property.required { "!" } else { "" };
        format!("{}: {}{mark}", property.name, property.property_type)
    });
    types.collect::<Vec<_>>().join(", ")
}

/// What is wrong with the sample under the schema that was proposed for it.
fn refusals(format: InputFormat, body: &[u8], proposal: &Proposal) -> Vec<RecordError> {
    let schema = Arc::new(SchemaSnapshot::first(proposal.schema.clone()));
    let options = DecodeOptions {
        csv: CsvOptions {
            null_value: proposal.null_value.map(str::to_owned),
            ..CsvOptions::default()
        },
        ..DecodeOptions::default()
    };
    let mut decoder = decoder(format, schema, options);
    decoder.push(body).unwrap();
    decoder.finish().unwrap();
    let batches: Vec<DecodedBatch> = std::iter::from_fn(|| decoder.take()).collect();
    decoder.finish().unwrap();
    let rows: u64 = batches.iter().map(|batch| batch.len as u64).sum();
    assert_eq!(rows, proposal.rows + proposal.unreadable);
    batches
        .into_iter()
        .flat_map(|batch| validate(batch).1)
        .collect()
}

#[track_caller]
fn check(format: InputFormat, body: impl AsRef<[u8]>, expected: &str) {
    let body = body.as_ref();
    let proposal = infer(format, body);
    assert_eq!(types(&proposal), expected, "{:#?}", proposal.remarks);
    if proposal.obstacles().next().is_none() {
        assert_eq!(refusals(format, body, &proposal), []);
    }
    for chunk in [1, 7] {
        let cut = try_infer(format, body, chunk).unwrap();
        assert_eq!(cut.schema, proposal.schema);
        assert_eq!(cut.remarks, proposal.remarks);
    }
    let yaml = proposal_yaml(&proposal);
    let read = read_schema(&yaml, DocumentForm::Yaml);
    assert_eq!(read.as_ref(), Ok(&proposal.schema), "{yaml}");
}

#[track_caller]
fn check_csv(cells: &[&str], expected: &str) {
    let rows: Vec<String> = cells.iter().map(|cell| format!("{cell},1\n")).collect();
    let rows = rows.concat();
    let expected = format!("a: {expected}, b: integer!");
    check(InputFormat::Csv, format!("a,b\n{rows}"), &expected);
}

#[track_caller]
fn check_json(values: &[&str], expected: &str) {
    let rows: Vec<String> = values.iter().map(|v| format!("{{\"a\":{v}}}")).collect();
    let expected = format!("a: {expected}");
    check(InputFormat::NdJson, rows.join("\n"), &expected);
    check(
        InputFormat::Json,
        format!("[{}]", rows.join(" , ")),
        &expected,
    );
}

#[test]
fn cells_tell_their_type() {
    check_csv(&["1", "-2", "0"], "integer!");
    check_csv(&["1", ""], "integer");
    check_csv(&["1", "NA"], "integer");
    check_csv(&["1", "2.50"], "number!");
    check_csv(&["1.0", "2.0"], "number!");
    check_csv(&["10.357019999999999", "39.02"], "number!");
    check_csv(&["1e3"], "number!");
    check_csv(&["02134", "10001"], "string!");
    check_csv(&["9223372036854775808"], "decimal(38,0)!");
    check_csv(&["9007199254740993", "0.5"], "decimal(18,1)!");
    check_csv(&["true", "false"], "boolean!");
    check_csv(&["0", "1"], "integer!");
    check_csv(&["TRUE", "FALSE"], "string!");
    check_csv(&["2013-01-31", "2012-02-29"], "date!");
    check_csv(&["2013-02-29"], "string!");
    check_csv(
        &["2013-01-31T10:00:00Z", "2013-01-31 10:00:00"],
        "datetime!",
    );
    check_csv(&["2013-01-31", "2013-01-31 10:00:00"], "string!");
    check_csv(&["31/01/2013"], "string!");
    check_csv(&["0193b1f4-6c00-7000-8000-000000000000"], "uuid!");
    check_csv(&["\"{\"\"x\"\": 1}\"", "{}"], "object!");
    check_csv(&["\"[1, 2]\"", "[]"], "array of integer!");
    check_csv(&["\"[1, null]\"", "[]"], "string!");
    check_csv(&["\"[1, \"\"x\"\"]\""], "string!");
    check_csv(&["[x", "{y"], "string!");
    check_csv(&["\"\"", "1"], "string!");
    check_csv(&["\"NA\"", "1"], "string!");
    check_csv(&["\"a\nb\""], "string!");
    check_csv(&["NaN", "1.5"], "number");
    check_csv(&["inf", "1.5"], "string!");
    check_csv(&["\"1,000\""], "string!");
}

#[test]
fn values_of_json_tell_their_type() {
    check_json(&["1", "-2"], "integer!");
    check_json(&["1", "null"], "integer");
    check_json(&["1", "2.50"], "number!");
    check_json(&["1.0"], "number!");
    check_json(&["18446744073709551615"], "decimal(38,0)!");
    check_json(&["true", "false"], "boolean!");
    check_json(&["\"1\"", "\"2\""], "string!");
    check_json(&["\"1\"", "2.5"], "decimal(18,1)!");
    check_json(&["\"2013-01-31\""], "date!");
    check_json(&["\"2013-01-31T10:00:00+02:00\""], "datetime!");
    check_json(&["\"\\u0032013-01-31\""], "date!");
    check_json(&["\"NA\"", "\"x\""], "string!");
    check_json(&["{\"b\": [1, {}]}", "{}"], "object!");
    check_json(&["[1, 2]", "[]", "null"], "array of integer");
    check_json(&["[\"2013-01-31\"]"], "array of date!");
    check_json(&["[1, 2.5]"], "array of number!");
    check_json(&["[true]"], "array of boolean!");
    check_json(&["[]"], "array of string!");
    check_json(&["null"], "string");
}

#[test]
fn what_no_type_holds_is_told() {
    for values in [
        "1 \"x\"",
        "true 1",
        "[1] 1",
        "{} 1",
        "[1,\"x\"] [2]",
        "[[1]]",
        "[null]",
        "[{}]",
    ] {
        let rows = values
            .split(' ')
            .map(|value| format!("{{\"a\": {value}}}\n"));
        let proposal = infer(InputFormat::NdJson, rows.collect::<String>());
        let codes: Vec<_> = proposal.obstacles().map(|remark| remark.code).collect();
        assert_eq!(codes, [RemarkCode::Conflict], "{values}");
    }
    let twice = infer(InputFormat::Csv, "a,a\n1,2\n");
    assert_eq!(twice.obstacles().count(), 1);
}

#[test]
fn an_absent_property_is_null() {
    let body = "{\"a\": 1}\n\n{\"b\": \"x\", \"a\": 2}\n";
    check(InputFormat::NdJson, body, "a: integer!, b: string");
}

#[test]
fn rows_that_cannot_be_read_are_counted() {
    let body =
        "{\"a\": 1}\nnonsense\n[1]\n{\"a\": 1, \"a\": 2}\n{\"a\": \"\\u0000\"}\n{\"a\": 3}\n";
    let proposal = infer(InputFormat::NdJson, body);
    assert_eq!((proposal.rows, proposal.unreadable), (2, 4));
    assert_eq!(types(&proposal), "a: integer!");
    let body = "a,b\n1,2\n1\n1,2,3\n\"x\"y,2\n3,4\n";
    let proposal = infer(InputFormat::Csv, body);
    assert_eq!((proposal.rows, proposal.unreadable), (2, 3));
    let first = proposal
        .remarks
        .iter()
        .find(|remark| remark.code == RemarkCode::Unreadable);
    let message = "3 rows cannot be read; the first: line 3: has 1 cells where the header has 2";
    assert_eq!(first.unwrap().message, message);
    let body = "[{\"a\": 1}, 7, {\"a\": 2}]";
    let proposal = infer(InputFormat::Json, body);
    assert_eq!((proposal.rows, proposal.unreadable), (2, 1));
}

#[test]
fn a_body_of_another_format_is_an_error() {
    for (format, body) in [
        (InputFormat::Json, "{\"a\": 1}"),
        (InputFormat::Json, "[{\"a\": 1}"),
        (InputFormat::Csv, ""),
        (InputFormat::Csv, "a,b\n\"1"),
        (InputFormat::ArrowStream, "a,b\n1,2\n"),
        (InputFormat::ArrowStream, ""),
        (InputFormat::Parquet, "a,b\n1,2\n"),
    ] {
        assert!(try_infer(format, body.as_bytes(), 3).is_err(), "{body}");
    }
    assert!(infer(InputFormat::Csv, "a,b\n").schema.properties.len() == 2);
    assert!(infer(InputFormat::Json, "[]").schema.properties.is_empty());
}

#[test]
fn no_more_is_read_than_is_wanted() {
    let lines: Vec<String> = (0..100).map(|n| format!("{{\"a\": {n}}}\n")).collect();
    let lines = lines.concat();
    for (rows_max, rows, truncated) in [(10, 10, true), (100, 100, false), (101, 100, false)] {
        let mut sampler = Sampler::new(InputFormat::NdJson, options(rows_max));
        for chunk in lines.as_bytes().chunks(5) {
            sampler.push(chunk).unwrap();
        }
        assert_eq!(sampler.is_done(), truncated);
        let proposal = sampler.finish().unwrap().propose("x");
        assert_eq!((proposal.rows, proposal.truncated), (rows, truncated));
    }
    let mut few = options(u64::MAX);
    few.bytes_max = 50;
    let mut sampler = Sampler::new(InputFormat::Csv, few);
    for chunk in format!("a\n{}\n\"", "1\n".repeat(100)).as_bytes().chunks(8) {
        sampler.push(chunk).unwrap();
    }
    let proposal = sampler.finish().unwrap().propose("x");
    assert_eq!((proposal.rows, proposal.truncated), (27, true));
}

#[test]
fn the_document_has_a_comment_beside_each_guess() {
    let rows = (0..20)
        .map(|n| {
            format!(
                "{n},{},{}\n",
                ["EWR", "JFK"][n % 2],
                if n == 7 { "NA" } else { "1" }
            )
        })
        .collect::<Vec<_>>()
        .concat();
    let proposal = infer(InputFormat::Csv, format!("nr,origin,delay\n{rows}"));
    let expected = "\
# Proposed from a sample.
# after 20 rows
# NA stands for null: import with --null-value 'NA'
name: things
properties:
  - {name: nr, type: integer, required: true}  # unique in the sample: candidate for primary_key
  - {name: origin, type: string, required: true}  # at most 3 characters; candidate for enum: [EWR, JFK]
  - {name: delay, type: integer}  # null in 1 rows
";
    assert_eq!(proposal_yaml(&proposal), expected);
}
