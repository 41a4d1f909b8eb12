//! The codec gives back what it was given, through COPY rows and alone.

use std::sync::Arc;

use arrow_array::builder::{
    FixedSizeBinaryBuilder, Int64Builder, ListBuilder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{Field, Schema};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use staffa_domain::Timestamp;

use super::check::check_copy;
use super::decode::{BatchBuilder, CopyDecoder};
use super::encode::{Column, put_row};
use super::numeric::{put_numeric, read_numeric};
use super::param::array_literal;
use super::{HEADER, TRAILER};

const DECIMAL_MAX: i128 = 10_i128.pow(38) - 1;

fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let fields = columns.iter().enumerate();
    let fields = fields.map(|(at, it)| Field::new(at.to_string(), it.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns).unwrap()
}

/// Encodes rows as COPY frames them and sends them: the first two with the header, the
/// others each by itself.
fn there_and_back(given: &RecordBatch) -> RecordBatch {
    let columns: Vec<Column<'_>> = given
        .columns()
        .iter()
        .map(|array| Column::new(&**array).unwrap())
        .collect();
    let mut builder = BatchBuilder::new(given.schema()).unwrap();
    let mut decoder = CopyDecoder::default();
    let mut bytes = BytesMut::from(HEADER);
    for row in 0..given.num_rows() {
        put_row(&columns, row, &mut bytes);
        if row > 0 {
            decoder.push(&bytes, &mut builder).unwrap();
            bytes.clear();
        }
    }
    decoder.push(TRAILER, &mut builder).unwrap();
    builder.finish().unwrap()
}

fn any_decimal() -> impl Strategy<Value = i128> {
    (-DECIMAL_MAX..=DECIMAL_MAX, 0_u32..39)
        .prop_map(|(value, cut)| value / 10_i128.pow(cut.min(37)))
}

proptest! {
    #[test]
    fn scalars_round_trip(
        texts in vec(of(".{0,20}"), 8),
        integers in vec(of(any::<i64>()), 8),
        numbers in vec(of(any::<f64>().prop_filter("finite", |it| it.is_finite())), 8),
        flags in vec(of(any::<bool>()), 8),
        dates in vec(of(-719_162_i32..=2_932_896), 8),
        times in vec(of(-62_135_596_800_000_000_i64..=253_402_300_799_999_999), 8),
    ) {
        let given = batch(vec![
            Arc::new(StringArray::from(texts)),
            Arc::new(Int64Array::from(integers)),
            Arc::new(Float64Array::from(numbers)),
            Arc::new(BooleanArray::from(flags)),
            Arc::new(Date32Array::from(dates)),
            Arc::new(TimestampMicrosecondArray::from(times)),
        ]);
        prop_assert_eq!(there_and_back(&given), given);
    }

    #[test]
    fn decimals_round_trip_at_every_scale(
        values in vec(of(any_decimal()), 8),
        scale in 0_i8..=38,
    ) {
        let values = Decimal128Array::from(values).with_precision_and_scale(38, scale).unwrap();
        let given = batch(vec![Arc::new(values)]);
        prop_assert_eq!(there_and_back(&given), given);
    }

    #[test]
    fn ids_and_lists_round_trip(
        ids in vec(of(any::<[u8; 16]>()), 5),
        texts in vec(of(vec(of(".{0,5}"), 0..4)), 5),
        integers in vec(of(vec(of(any::<i64>()), 0..4)), 5),
    ) {
        let mut id_column = FixedSizeBinaryBuilder::new(16);
        let mut text_lists = ListBuilder::new(StringBuilder::new());
        let mut integer_lists = ListBuilder::new(Int64Builder::new());
        for id in ids {
            match id {
                Some(id) => id_column.append_value(id).unwrap(),
                None => id_column.append_null(),
            }
        }
        texts.into_iter().for_each(|list| text_lists.append_option(list));
        integers.into_iter().for_each(|list| integer_lists.append_option(list));
        let given = batch(vec![
            Arc::new(id_column.finish()),
            Arc::new(text_lists.finish()),
            Arc::new(integer_lists.finish()),
        ]);
        prop_assert_eq!(there_and_back(&given), given);
    }

    #[test]
    fn decoding_never_panics(bytes in vec(any::<u8>(), 0..60)) {
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_null();
        let lists = lists.finish();
        let decimals = Decimal128Array::from(vec![0]).with_precision_and_scale(38, 4).unwrap();
        let layout = batch(vec![Arc::new(lists), Arc::new(decimals)]).schema();
        let mut builder = BatchBuilder::new(layout).unwrap();
        let _ = builder.push_copied(&mut &*bytes);
        let _ = read_numeric(&bytes, 4);
    }
}

#[test]
fn numerics_are_written_as_postgres_writes_them() {
    let bytes = |unscaled, scale| {
        let mut out = BytesMut::new();
        put_numeric(unscaled, scale, &mut out);
        out.to_vec()
    };
    // 12345.67: digits 1, 2345, 6700; weight 1; scale 2.
    let expected = [0, 3, 0, 1, 0, 0, 0, 2, 0, 1, 0x09, 0x29, 0x1a, 0x2c];
    assert_eq!(bytes(1_234_567, 2), expected);
    assert_eq!(bytes(0, 2), [0, 0, 0, 0, 0, 0, 0, 2]);
    // -0.0001: one digit, one place behind the point.
    assert_eq!(bytes(-1, 4), [0, 1, 0xff, 0xff, 0x40, 0, 0, 4, 0, 1]);
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let not_a_number = [0, 0, 0, 0, 0xc0, 0, 0, 0];
    assert!(read_numeric(&not_a_number, 2).is_err());
    let mut out = BytesMut::new();
    put_numeric(12_345, 4, &mut out);
    assert!(read_numeric(&out, 2).is_err(), "digits beyond the scale");
    put_numeric(DECIMAL_MAX, 0, &mut BytesMut::new());
    assert!(
        read_numeric(&[0, 1, 0, 20, 0, 0, 0, 0, 0, 1], 0).is_err(),
        "beyond 38 digits"
    );
}

#[test]
fn array_text_spells_every_moment() {
    let mut lists = ListBuilder::new(TimestampMicrosecondBuilder::new());
    let moments = [Timestamp::MIN, Timestamp::from_micros(-1), Timestamp::MAX];
    lists.append_value(moments.map(|at| Some(at.as_micros())));
    let lists = lists.finish();
    let text = array_literal(&Column::new(&lists).unwrap(), 0);
    let expected = [
        r#"{"0001-01-01 00:00:00.000000+00""#,
        r#""1969-12-31 23:59:59.999999+00""#,
        r#""9999-12-31 23:59:59.999999+00"}"#,
    ];
    assert_eq!(text, expected.join(","));
}

#[test]
fn array_text_escapes_quotes_and_backslashes() {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some(r#"a"b\c"#), None, Some("NULL"), Some("")]);
    let lists = lists.finish();
    let column = Column::new(&lists).unwrap();
    assert_eq!(array_literal(&column, 0), r#"{"a\"b\\c",NULL,"NULL",""}"#);
    assert_eq!(HEADER.len(), 19);
}

#[test]
fn every_seed_is_read_or_refused() {
    staffa_testkit::seeds::replay("copy", check_copy);
}

#[track_caller]
fn refused(column: ArrayRef, message: &[u8]) {
    let mut builder = BatchBuilder::new(batch(vec![column]).schema()).unwrap();
    let message = [HEADER, message].concat();
    assert!(CopyDecoder::default().push(&message, &mut builder).is_err());
}

/// A row of one field.
fn field(value: &[u8]) -> Vec<u8> {
    let len = u32::try_from(value.len()).unwrap();
    [&1_i16.to_be_bytes()[..], &len.to_be_bytes(), value].concat()
}

#[test]
fn what_no_property_can_be_is_refused() {
    let dates = || Arc::new(Date32Array::from(vec![0]));
    let times = || Arc::new(TimestampMicrosecondArray::from(vec![0]));
    // The infinities, and a day before the first year.
    for days in [i32::MAX, i32::MIN, -719_163 - 10_957] {
        refused(dates(), &field(&days.to_be_bytes()));
    }
    for micros in [i64::MAX, i64::MIN] {
        refused(times(), &field(&micros.to_be_bytes()));
    }
    let decimals = || Decimal128Array::from(vec![0]).with_precision_and_scale(38, 0);
    let digit_beyond = [0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10];
    refused(Arc::new(decimals().unwrap()), &field(&digit_beyond));
    // 10^38 fits the memory, and has 39 digits.
    let long = [0, 1, 0, 9, 0, 0, 0, 0, 0, 100];
    refused(Arc::new(decimals().unwrap()), &field(&long));
}

#[test]
fn nothing_may_follow_the_end() {
    let numbers = || Arc::new(Int64Array::from(vec![0]));
    let row = field(&1_i64.to_be_bytes());
    refused(numbers(), &[TRAILER, &row].concat());
    let mut lists = ListBuilder::new(Int64Builder::new());
    lists.append_value([Some(1)]);
    let empty = [&[0; 12][..], &[1]].concat();
    refused(Arc::new(lists.finish()), &field(&empty));
}
