//! Parts of records: what each gives is told, and nothing takes a default.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert_eq, proptest};

use staffa_domain::batch::Given;
use staffa_domain::schema::SchemaSnapshot;

use super::{drive, rows, schema, small_batches};
use crate::decode::{DecodeOptions, InputFormat, decoder};

fn tools() -> Arc<SchemaSnapshot> {
    schema(
        "name: tools\nprimary_key: [name]\nproperties:\n\
         - {name: name, type: string, required: true}\n\
         - {name: price, type: integer, required: true}\n\
         - {name: place, type: string, default: shelf}\n",
    )
}

/// For each record, which properties it gives; and all values.
fn read(format: InputFormat, body: &[u8], chunk: usize) -> (Vec<[bool; 3]>, serde_json::Value) {
    let options = DecodeOptions {
        parts: true,
        ..small_batches()
    };
    let mut decoder = decoder(format, tools(), options);
    let (batches, outcome) = drive(decoder.as_mut(), body.chunks(chunk));
    outcome.unwrap();
    let mut given = Vec::new();
    let mut values = Vec::new();
    for batch in &batches {
        let of_batch = batch.given.as_ref().unwrap();
        given.extend((0..batch.len).map(|row| [0, 1, 2].map(|at: usize| of_batch[at].by(row))));
        values.extend(rows(batch).as_array().unwrap().clone());
    }
    (given, values.into())
}

#[test]
fn a_null_is_given_and_an_absent_one_is_not() {
    let body = b"{\"name\":\"saw\"}\n{\"price\":null,\"name\":\"axe\",\"place\":null}\n\
        {\"place\":\"wall\"}\n{}\n{\"price\":1,\"price\":2}\n";
    let (given, values) = read(InputFormat::NdJson, body, 7);
    assert_eq!(
        given,
        [
            [true, false, false],
            [true, true, true],
            [false, false, true],
            [false, false, false],
            [false, true, false],
        ]
    );
    assert!(values[0]["place"].is_null(), "no default: {}", values[0]);
}

#[test]
fn a_header_says_what_every_row_gives() {
    let (given, values) = read(InputFormat::Csv, b"place,name\n,saw\nwall,axe\n", 5);
    assert_eq!(given, [[true, false, true]; 2]);
    assert!(values[0]["place"].is_null(), "{}", values[0]);
    let names: ArrayRef = Arc::new(arrow_array::StringArray::from(vec!["saw", "axe"]));
    let prices: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(3)]));
    let batch = RecordBatch::try_from_iter([("name", names), ("price", prices)]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    let body = writer.into_inner().unwrap();
    let (given, values) = read(InputFormat::ArrowStream, &body, 64);
    assert_eq!(given, [[true, true, false]; 2]);
    assert!(values[0]["place"].is_null(), "{}", values[0]);
}

#[test]
fn whole_records_say_nothing_of_it() {
    let mut decoder = decoder(InputFormat::NdJson, tools(), DecodeOptions::default());
    let (batches, _) = drive(decoder.as_mut(), [&b"{\"name\":\"saw\"}"[..]]);
    assert_eq!(batches[0].given, None::<Vec<Given>>);
    assert_eq!(rows(&batches[0])[0]["place"], "shelf");
}

proptest! {
    #[test]
    fn what_is_there_is_given(
        records in vec(any::<[bool; 3]>(), 0..20),
        chunk in 1_usize..40,
        is_array in any::<bool>(),
    ) {
        let member = |(at, is_there): (usize, &bool)| {
            let text = ["\"name\":\"n\"", "\"price\":4", "\"place\":null"][at];
            is_there.then_some(text)
        };
        let object = |record: &[bool; 3]| {
            let members: Vec<_> = record.iter().enumerate().filter_map(member).collect();
            format!("{{{}}}", members.join(","))
        };
        let objects: Vec<String> = records.iter().map(object).collect();
        let (format, body) = if is_array {
            (InputFormat::Json, format!("[{}]", objects.join(",")))
        } else {
            (InputFormat::NdJson, objects.join("\n"))
        };
        let (given, _) = read(format, body.as_bytes(), chunk);
        prop_assert_eq!(given, records);
    }
}
