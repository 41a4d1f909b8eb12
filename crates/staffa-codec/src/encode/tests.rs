//! What records look like in each format, and that nothing is lost.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, Field};
use arrow_select::concat::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::RowGroupMetaData;
use serde_json::json;

use staffa_domain::batch::id_array;
use staffa_domain::record::RecordId;
use staffa_domain::schema::SchemaSnapshot;

use super::{JsonRecordEncoder, OutputFormat, Shape, encode_rows, encoder, selected_layout};
use crate::document::{DocumentForm, read_schema};

const FIRST: &str = r#"{"id":"00010203-0405-0607-0809-0a0b0c0d0e0f","schema_name":"things","data":{"a":"x,\"y\"","b":-5,"c":1.0,"d":"-0.05","e":true,"f":"1970-01-02","g":"2013-01-01T10:00:00.000001Z","h":"ffffffff-ffff-ffff-ffff-ffffffffffff","i":{"k":[1,2]},"j":[1,null]},"created_at":"1970-01-01T00:00:01Z","updated_at":"1970-01-01T00:00:02Z","version":1}"#;

fn things() -> Arc<SchemaSnapshot> {
    let document = "
name: things
properties:
  - {name: a, type: string}
  - {name: b, type: integer}
  - {name: c, type: number}
  - {name: d, type: decimal, precision: 10, scale: 2}
  - {name: e, type: boolean}
  - {name: f, type: date}
  - {name: g, type: datetime}
  - {name: h, type: uuid}
  - {name: i, type: object}
  - {name: j, type: array, items: integer}
";
    Arc::new(SchemaSnapshot::first(
        read_schema(document, DocumentForm::Yaml).unwrap(),
    ))
}

/// Two records: one with a value in each property, one of nulls and an empty text.
fn batch(schema: &SchemaSnapshot) -> RecordBatch {
    let ids = [
        RecordId::from_bytes(std::array::from_fn(|at| u8::try_from(at).unwrap())),
        RecordId::from_bytes([0; 16]),
    ];
    let mut lists = ListBuilder::new(Int64Builder::new());
    lists.append_value([Some(1), None]);
    lists.append_null();
    let uuid = vec![Some([0xff_u8; 16].as_slice()), None];
    let uuids = FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuid.into_iter(), 16).unwrap();
    let decimals = Decimal128Array::from(vec![Some(-5), None]).with_precision_and_scale(10, 2);
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(id_array(&ids)),
        Arc::new(TimestampMicrosecondArray::from(vec![1_000_000, 0])),
        Arc::new(TimestampMicrosecondArray::from(vec![2_000_000, 0])),
        Arc::new(Int64Array::from(vec![1, 2])),
        Arc::new(StringArray::from(vec!["x,\"y\"", ""])),
        Arc::new(Int64Array::from(vec![Some(-5), None])),
        Arc::new(Float64Array::from(vec![Some(1.0), None])),
        Arc::new(decimals.unwrap()),
        Arc::new(BooleanArray::from(vec![Some(true), None])),
        Arc::new(Date32Array::from(vec![Some(1), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![
            Some(1_357_034_400_000_001),
            None,
        ])),
        Arc::new(uuids),
        Arc::new(StringArray::from(vec![Some("{\"k\":[1,2]}"), None])),
        Arc::new(lists.finish()),
    ];
    RecordBatch::try_new(Arc::clone(schema.record_layout()), arrays).unwrap()
}

fn encoded(format: OutputFormat, shape: Shape, batches: &[RecordBatch]) -> Vec<u8> {
    let schema = things();
    let mut encoder = encoder(format, &schema, None, shape);
    let mut out = Vec::new();
    encoder.start(&mut out).unwrap();
    for batch in batches {
        encoder.encode(batch, &mut out).unwrap();
    }
    encoder.finish(&mut out).unwrap();
    out
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_record_is_written_to_the_letter() {
    let schema = things();
    let lines = text(encoded(
        OutputFormat::NdJson,
        Shape::Record,
        &[batch(&schema)],
    ));
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], FIRST);
    let second: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(second["data"]["a"], "");
    for name in ["b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        assert_eq!(second["data"].get(name), Some(&json!(null)), "{name}");
    }
    assert_eq!(lines.len(), 2);
    let mut one = Vec::new();
    let mut encoder = JsonRecordEncoder::new(&schema, None, Shape::Record);
    encoder.encode_row(&batch(&schema), 0, &mut one).unwrap();
    assert_eq!(text(one), FIRST);
}

#[test]
fn a_list_has_commas_across_batches() {
    let schema = things();
    let mut encoder = JsonRecordEncoder::new(&schema, None, Shape::Data);
    let (mut out, mut first) = (b"[".to_vec(), true);
    for _ in 0..2 {
        encoder
            .encode_list(&batch(&schema), &mut out, &mut first)
            .unwrap();
    }
    out.push(b']');
    let read: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
    assert_eq!(read.len(), 4);
    assert_eq!(read[2]["b"], -5);
    assert_eq!(read[2].get("id"), None);
}

#[test]
fn a_selection_has_only_its_properties() {
    let schema = things();
    let select = [1, 8];
    let whole = batch(&schema);
    let some = whole.project(&[0, 1, 2, 3, 5, 12]).unwrap();
    assert_eq!(some.schema(), selected_layout(&schema, Some(&select)));
    let mut encoder = JsonRecordEncoder::new(&schema, Some(&select), Shape::Data);
    let mut out = Vec::new();
    encoder.encode_row(&some, 0, &mut out).unwrap();
    assert_eq!(text(out), r#"{"b":-5,"i":{"k":[1,2]}}"#);
    assert!(encoder.encode_lines(&whole, &mut Vec::new()).is_err());
}

#[test]
fn clean_and_dirty_texts_are_written_alike() {
    let schema = things();
    let texts = ["plain", "é", "a\nb", "\u{1}", ""];
    for text in texts {
        let mut arrays = batch(&schema).columns().to_vec();
        arrays[4] = Arc::new(StringArray::from(vec![text, "clean"]));
        let batch = RecordBatch::try_new(Arc::clone(schema.record_layout()), arrays).unwrap();
        let mut out = Vec::new();
        let mut encoder = JsonRecordEncoder::new(&schema, None, Shape::Data);
        // A slice starts in the middle of its texts.
        encoder.encode_lines(&batch.slice(1, 1), &mut out).unwrap();
        encoder.encode_lines(&batch, &mut out).unwrap();
        let lines: Vec<serde_json::Value> = out
            .split(|b| *b == b'\n')
            .filter_map(|l| serde_json::from_slice(l).ok())
            .collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            (&lines[0]["a"], &lines[1]["a"]),
            (&json!("clean"), &json!(text))
        );
    }
}

#[test]
fn csv_quotes_what_it_must() {
    let schema = things();
    let csv = text(encoded(OutputFormat::Csv, Shape::Data, &[batch(&schema)]));
    let expected = concat!(
        "id,created_at,updated_at,version,a,b,c,d,e,f,g,h,i,j\n",
        "00010203-0405-0607-0809-0a0b0c0d0e0f,1970-01-01T00:00:01Z,1970-01-01T00:00:02Z,1,",
        "\"x,\"\"y\"\"\",-5,1.0,-0.05,true,1970-01-02,2013-01-01T10:00:00.000001Z,",
        "ffffffff-ffff-ffff-ffff-ffffffffffff,\"{\"\"k\"\":[1,2]}\",\"[1,null]\"\n",
        "00000000-0000-0000-0000-000000000000,1970-01-01T00:00:00Z,1970-01-01T00:00:00Z,2,",
        "\"\",,,,,,,,,\n",
    );
    assert_eq!(csv, expected);
}

#[test]
fn arrow_streams_hold_even_batches() {
    let schema = things();
    let small = vec![batch(&schema); 10_000];
    for batches in [&small[..], &small[..1], &[]] {
        let bytes = encoded(OutputFormat::ArrowStream, Shape::Data, batches);
        let reader = StreamReader::try_new(bytes.as_slice(), None).unwrap();
        assert_eq!(reader.schema(), *schema.record_layout());
        let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        let rows: usize = read.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, batches.len() * 2);
        assert_eq!(read.len(), rows.div_ceil(16_384));
        if let Some(first) = read.first() {
            assert_eq!(first.slice(0, 2), small[0]);
        }
    }
}

#[test]
fn a_batch_that_is_not_small_is_an_arrow_message_as_it_is() {
    let schema = things();
    let large = many(&schema, 5_000, |n| format!("text {n}"));
    let batches = [batch(&schema), large.clone(), batch(&schema), large];
    let mut encoder = encoder(OutputFormat::ArrowStream, &schema, None, Shape::Data);
    let mut out = Vec::new();
    encoder.start(&mut out).unwrap();
    for batch in &batches {
        let before = out.len();
        encoder.encode(batch, &mut out).unwrap();
        // Nothing of it is kept back.
        assert_eq!(out.len() > before, batch.num_rows() > 2);
    }
    encoder.finish(&mut out).unwrap();
    let reader = StreamReader::try_new(out.as_slice(), None).unwrap();
    let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(read, batches);
}

#[test]
fn parquet_reads_back() {
    let schema = things();
    let bytes = encoded(
        OutputFormat::Parquet,
        Shape::Data,
        &[batch(&schema), batch(&schema)],
    );
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
    let read: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].slice(2, 2).columns(), batch(&schema).columns());
}

/// So many records: each with an id of its own, and a text by its number.
fn many(schema: &SchemaSnapshot, rows: usize, text: impl Fn(usize) -> String) -> RecordBatch {
    let two = batch(schema);
    let twice = vec![two.clone(); rows / 2];
    let whole = concat_batches(schema.record_layout(), &twice).unwrap();
    let mut arrays = whole.columns().to_vec();
    let ids = (0..rows as u128).map(|n| RecordId::from_bytes(n.to_be_bytes()));
    arrays[0] = Arc::new(id_array(&ids.collect::<Vec<_>>()));
    arrays[4] = Arc::new(StringArray::from_iter_values((0..rows).map(text)));
    RecordBatch::try_new(Arc::clone(schema.record_layout()), arrays).unwrap()
}

#[test]
fn parquet_groups_grow_and_read_back() {
    let schema = things();
    let part = many(&schema, 30_000, |n| format!("text {n}"));
    let parts = vec![part; 10];
    let bytes = encoded(OutputFormat::Parquet, Shape::Data, &parts);
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
    let groups = builder.metadata().row_groups();
    let rows: Vec<i64> = groups.iter().map(RowGroupMetaData::num_rows).collect();
    assert_eq!(
        rows,
        [4_096, 16_384, 65_536, 65_536, 65_536, 65_536, 17_376]
    );
    for group in groups {
        let id = group.column(0);
        assert!(id.dictionary_page_offset().is_none(), "ids never repeat");
        assert!(id.statistics().is_some());
        assert!(group.column(3).dictionary_page_offset().is_some());
        assert_eq!(id.compression(), Compression::SNAPPY);
    }
    let read: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    let layout = schema.record_layout();
    let read = concat_batches(&read[0].schema(), &read).unwrap();
    let written = concat_batches(layout, &parts).unwrap();
    assert_eq!(read.columns(), written.columns());
}

#[test]
fn parquet_gives_something_soon_and_keeps_back_a_bounded_number_of_bytes() {
    let schema = things();
    let mut encoder = encoder(OutputFormat::Parquet, &schema, None, Shape::Data);
    let mut out = Vec::new();
    encoder.start(&mut out).unwrap();
    encoder
        .encode(&many(&schema, 4_096, |n| format!("text {n}")), &mut out)
        .unwrap();
    assert!(out.len() > 4_096 * 4, "the first records are on their way");
    // Three megabytes each that nothing makes smaller.
    let noise = |n: usize| {
        let mut state = n as u64;
        let mut letter = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(33 + u8::try_from((state >> 33) % 94).unwrap())
        };
        (0..1_000).map(|_| letter()).collect::<String>()
    };
    let wide = many(&schema, 3_000, noise);
    let mut kept_back = 0;
    for _ in 0..20 {
        let before = out.len();
        encoder.encode(&wide, &mut out).unwrap();
        kept_back += 3_000_000;
        if out.len() > before {
            assert!(out.len() - before > 3_000_000);
            kept_back = 0;
        }
        assert!(kept_back < 16 << 20, "{kept_back}");
    }
}

#[test]
fn an_empty_parquet_file_is_still_one() {
    let bytes = encoded(OutputFormat::Parquet, Shape::Data, &[]);
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
    assert_eq!(builder.metadata().file_metadata().num_rows(), 0);
}

#[test]
fn rows_of_any_batch_are_objects() {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("U\"A"), None]));
    let means: ArrayRef = Arc::new(Float64Array::from(vec![Some(2.5), None]));
    let batch =
        RecordBatch::try_from_iter_with_nullable([("carrier", names, true), ("mean", means, true)]);
    let batch = batch.unwrap();
    let (mut out, mut first) = (Vec::new(), true);
    encode_rows(&batch.slice(0, 1), &mut out, &mut first).unwrap();
    encode_rows(&batch.slice(1, 1), &mut out, &mut first).unwrap();
    assert_eq!(
        text(out),
        r#"{"carrier":"U\"A","mean":2.5},{"carrier":null,"mean":null}"#
    );
    let field = Field::new("x", DataType::Int64, true);
    let empty = RecordBatch::new_empty(Arc::new(arrow_schema::Schema::new(vec![field])));
    let mut out = Vec::new();
    let mut first = true;
    encode_rows(&empty, &mut out, &mut first).unwrap();
    assert_eq!((text(out).as_str(), first), ("", true));
}
