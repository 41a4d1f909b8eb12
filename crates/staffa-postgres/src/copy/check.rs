//! What must hold for any bytes that a COPY sends, for the fuzzer and the tests that replay
//! its seeds.

use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::BytesMut;

use staffa_domain::record::{DATE_MAX, DATE_MIN, Timestamp};

use super::decode::{BatchBuilder, CopyDecoder};
use super::encode::{Column, put_row};
use super::{HEADER, TRAILER};

/// A column of every type.
static LAYOUT: LazyLock<SchemaRef> = LazyLock::new(|| {
    let item = |kind| DataType::List(Arc::new(Field::new("item", kind, true)));
    let types = [
        DataType::Utf8,
        DataType::Int64,
        DataType::Float64,
        DataType::Decimal128(38, 4),
        DataType::Boolean,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::FixedSizeBinary(16),
        item(DataType::Utf8),
        item(DataType::Decimal128(10, 2)),
    ];
    let fields = types.into_iter().enumerate();
    let fields = fields.map(|(at, kind)| Field::new(at.to_string(), kind, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// What a COPY of one message sends.
///
/// # Panics
/// When the bytes break a promise.
#[cfg_attr(
    test,
    expect(unreachable_pub, reason = "the fuzzer calls it from outside")
)]
pub fn check_copy(bytes: &[u8]) {
    let Some(batch) = read(bytes) else { return };
    // A field takes four bytes at the least.
    assert!(batch.num_rows() <= bytes.len() / (4 * LAYOUT.fields().len()));
    for array in batch.columns() {
        let valid = array.to_data().validate_full();
        assert!(valid.is_ok(), "{valid:?}");
    }
    check_times(&batch);
    let columns = batch.columns().iter();
    let columns: Result<Vec<_>, _> = columns.map(|array| Column::new(&**array)).collect();
    let columns = columns.expect("every type is written");
    let mut out = BytesMut::from(HEADER);
    for row in 0..batch.num_rows() {
        put_row(&columns, row, &mut out);
    }
    out.extend_from_slice(TRAILER);
    assert_eq!(
        read(&out).as_ref(),
        Some(&batch),
        "what was read is written"
    );
}

/// Dates and times are of the years that a property can have.
fn check_times(batch: &RecordBatch) {
    let dates = batch.column(5).as_primitive::<Date32Type>();
    let mut dates = dates.iter().flatten();
    assert!(dates.all(|days| (DATE_MIN..=DATE_MAX).contains(&days)));
    let range = Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros();
    let times = batch.column(6).as_primitive::<TimestampMicrosecondType>();
    assert!(times.iter().flatten().all(|micros| range.contains(&micros)));
}

fn read(bytes: &[u8]) -> Option<RecordBatch> {
    let mut builder = BatchBuilder::new(Arc::clone(&LAYOUT)).expect("every type is read");
    CopyDecoder::default().push(bytes, &mut builder).ok()?;
    builder.finish().ok()
}
