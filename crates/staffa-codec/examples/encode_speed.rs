//! Measures how fast records become bytes on one core: `cargo run --release --example encode_speed`.

#![expect(clippy::print_stdout, reason = "an example speaks to its terminal")]

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};

use staffa_codec::document::{DocumentForm, read_schema};
use staffa_codec::encode::{OutputFormat, Shape, encoder};
use staffa_domain::schema::SchemaSnapshot;

const ROWS: usize = 2_048;

const SCHEMA: &str = "
name: well_production
properties:
  - {name: field_code, type: integer}
  - {name: field_name, type: string}
  - {name: well_code, type: integer}
  - {name: well_reference, type: string}
  - {name: well_name, type: string}
  - {name: production_period, type: datetime}
  - {name: days_on_production, type: integer}
  - {name: oil_production_kbd, type: number}
  - {name: gas_production_mmcfd, type: number}
  - {name: liquids_production_kbd, type: number}
  - {name: water_production_kbd, type: number}
  - {name: data_source, type: string}
  - {name: source_data, type: string}
  - {name: partition_0, type: string}
";

fn main() -> Result<(), Box<dyn Error>> {
    let schema = read_schema(SCHEMA, DocumentForm::Yaml).map_err(|found| format!("{found:?}"))?;
    let schema = Arc::new(SchemaSnapshot::first(schema));
    let batch = batch(&schema)?;
    for (format, shape) in [
        (OutputFormat::NdJson, Shape::Record),
        (OutputFormat::NdJson, Shape::Data),
        (OutputFormat::Csv, Shape::Data),
        (OutputFormat::ArrowStream, Shape::Data),
        (OutputFormat::Parquet, Shape::Data),
    ] {
        let mut encoder = encoder(format, &schema, None, shape);
        let mut out = Vec::with_capacity(4 << 20);
        encoder.start(&mut out)?;
        let (mut bytes, mut records, mut best) = (out.len(), 0, Duration::MAX);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(2) {
            out.clear();
            let one = Instant::now();
            encoder.encode(black_box(&batch), &mut out)?;
            best = best.min(one.elapsed());
            bytes += black_box(&out).len();
            records += ROWS;
        }
        let rate = rate(out.len(), best);
        out.clear();
        encoder.finish(&mut out)?;
        bytes += out.len();
        let seconds = started.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
        let (bytes, records) = (bytes as f64, records as f64);
        println!(
            "{format:?} {shape:?}: {:.0} MB/s, {:.2} million records/s, {:.0} bytes a record; \
             undisturbed {rate:.0} MB/s",
            bytes / seconds / 1e6,
            records / seconds / 1e6,
            bytes / records,
        );
    }
    Ok(())
}

/// What the best batch alone tells, in MB/s; nothing of a format that keeps records back.
#[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e6
}

/// Records whose values differ, of the lengths that real ones have.
#[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
fn batch(schema: &SchemaSnapshot) -> Result<RecordBatch, Box<dyn Error>> {
    let rows = 0..i64::try_from(ROWS)?;
    let texts = |prefix: &str| -> ArrayRef {
        Arc::new(
            rows.clone()
                .map(|n| Some(format!("{prefix}{n}")))
                .collect::<StringArray>(),
        )
    };
    let integers = |from: i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.clone().map(|n| from + n)))
    };
    let numbers = |unit: f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(
            rows.clone().map(|n| n as f64 * unit),
        ))
    };
    let times = |from: i64, step: i64| -> ArrayRef {
        let values = rows.clone().map(|n| from + n * step);
        Arc::new(TimestampMicrosecondArray::from_iter_values(values))
    };
    let ids = rows
        .clone()
        .map(|n| uuid::Uuid::from_u64_pair(0x0189_0a5d_ac96_774b, n.cast_unsigned()));
    let ids = FixedSizeBinaryArray::try_from_iter(ids.map(uuid::Uuid::into_bytes))?;
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(ids),
        times(1_750_000_000_123_456, 0),
        times(1_750_000_000_123_456, 0),
        Arc::new(Int64Array::from_value(1, ROWS)),
        integers(0),
        texts("South Field "),
        integers(59_806),
        texts("39/"),
        texts("Well North Alpha "),
        times(1_577_836_800_000_000, 86_400_000_000),
        integers(1),
        numbers(0.013_7),
        numbers(1.618_033_988_749),
        numbers(0.001_3),
        numbers(0.31),
        texts("production system "),
        texts("monthly volumes "),
        texts("partition "),
    ];
    Ok(RecordBatch::try_new(
        Arc::clone(schema.record_layout()),
        arrays,
    )?)
}
