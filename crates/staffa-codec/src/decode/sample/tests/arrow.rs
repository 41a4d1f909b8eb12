//! Samples of Arrow and Parquet.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    FixedSizeBinaryArray, Float32Array, Int16Array, Int32Array, ListArray, NullArray, RecordBatch,
    StringArray, TimestampMillisecondArray, UInt64Array,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowWriter;

use super::{InputFormat, check, infer, types};

fn stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn file(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

#[test]
fn types_are_those_of_the_source() {
    let keys = Int32Array::from(vec![0, 0]);
    let words: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let decimals = Decimal128Array::from(vec![Some(150), None]);
    let decimals = decimals.with_precision_and_scale(7, 2).unwrap();
    let lists = vec![Some(vec![Some(1), Some(2)]), None];
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
    let uuids = FixedSizeBinaryArray::try_from_iter([[7_u8; 16], [8; 16]].into_iter()).unwrap();
    let batch = batch(vec![
        ("a", Arc::new(Int16Array::from(vec![1, 2]))),
        ("b", Arc::new(UInt64Array::from(vec![1, u64::MAX]))),
        ("c", Arc::new(Float32Array::from(vec![Some(1.5), None]))),
        ("d", Arc::new(decimals)),
        ("e", Arc::new(BooleanArray::from(vec![true, false]))),
        ("f", Arc::new(Date32Array::from(vec![1, 2]))),
        ("g", Arc::new(TimestampMillisecondArray::from(vec![1, 2]))),
        ("h", Arc::new(StringArray::from(vec!["1", "2"]))),
        ("i", Arc::new(DictionaryArray::new(keys, words))),
        ("j", Arc::new(lists)),
        ("k", Arc::new(uuids)),
        (
            "l",
            Arc::new(StringArray::from(vec!["2013-01-31", "2013-02-01"])),
        ),
    ]);
    let expected = "a: integer!, b: decimal(38,0)!, c: number, d: decimal(7,2), e: boolean!, \
                    f: date!, g: datetime!, h: string!, i: string!, j: array of integer, \
                    k: uuid!, l: date!";
    check(InputFormat::ArrowStream, stream(&batch), expected);
    check(InputFormat::Parquet, file(&batch), expected);
}

#[test]
fn nothing_but_nulls_has_no_type_of_its_own() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("a", Arc::new(NullArray::new(2))),
        ("b", Arc::new(Int32Array::from(vec![1, 2]))),
    ];
    check(
        InputFormat::ArrowStream,
        stream(&batch(columns)),
        "a: string, b: integer!",
    );
}

#[test]
fn what_cannot_be_read_is_told() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("a", Arc::new(BinaryArray::from(vec![b"x".as_slice()]))),
        ("b", Arc::new(Float32Array::from(vec![f32::NAN]))),
    ];
    let proposal = infer(InputFormat::ArrowStream, stream(&batch(columns)));
    let messages: Vec<_> = proposal
        .obstacles()
        .map(|one| one.message.as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "1 values cannot be stored: has the type Binary, which cannot be read",
            "1 values cannot be stored: must be a finite number",
        ]
    );
}

#[test]
fn json_in_texts_is_an_object_where_the_source_says_so() {
    let name = "ARROW:extension:name".to_owned();
    let objects: ArrayRef = Arc::new(StringArray::from(vec!["{\"x\": 1}", "{}"]));
    let json = HashMap::from([(name, "arrow.json".to_owned())]);
    let fields = vec![
        Field::new("a", objects.data_type().clone(), true).with_metadata(json),
        Field::new("b", objects.data_type().clone(), true),
    ];
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema, vec![Arc::clone(&objects), objects]).unwrap();
    let proposal = infer(InputFormat::ArrowStream, stream(&batch));
    assert_eq!(types(&proposal), "a: object!, b: string!");
}
