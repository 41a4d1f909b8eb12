//! Measures how fast bytes become records on one core: `cargo run --release --example decode_speed`.

#![expect(clippy::print_stdout, reason = "an example speaks to its terminal")]
#![expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]

use std::error::Error;
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use staffa_codec::decode::{DecodeOptions, InputFormat, decode_object, decoder};
use staffa_codec::document::{DocumentForm, read_schema};
use staffa_domain::schema::SchemaSnapshot;

const ROWS: usize = 20_000;

/// What a server hands on at once.
const CHUNK: usize = 64 << 10;

/// Of so many rounds the best time of each chunk counts: the others were disturbed.
const ROUNDS: usize = 15;

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
    let records = records()?;
    let lines = records.join("\n");
    println!("{} bytes a record", lines.len() / ROWS);
    measure("NdJson", InputFormat::NdJson, &schema, lines.as_bytes())?;
    let array = format!("[{}]", records.join(","));
    measure("Json", InputFormat::Json, &schema, array.as_bytes())?;
    let csv = csv()?;
    measure("Csv", InputFormat::Csv, &schema, csv.as_bytes())?;
    measure_single(&schema, records[ROWS / 2].as_bytes())
}

fn measure(
    name: &str,
    format: InputFormat,
    schema: &Arc<SchemaSnapshot>,
    body: &[u8],
) -> Result<(), Box<dyn Error>> {
    let mut best = vec![Duration::MAX; body.len().div_ceil(CHUNK) + 1];
    for _ in 0..ROUNDS {
        let mut decoder = decoder(format, Arc::clone(schema), DecodeOptions::default());
        let mut records = 0;
        for (chunk, best) in body.chunks(CHUNK).map(Some).chain([None]).zip(&mut best) {
            let started = Instant::now();
            match chunk {
                Some(chunk) => decoder.push(black_box(chunk))?,
                None => decoder.finish()?,
            }
            while let Some(batch) = decoder.take() {
                assert!(batch.errors.is_empty(), "{:?}", batch.errors);
                records += black_box(batch).len;
            }
            *best = started.elapsed().min(*best);
        }
        assert_eq!(records, ROWS);
    }
    let seconds = best.iter().sum::<Duration>().as_secs_f64();
    println!(
        "{name}: {:.0} MB/s, {:.2} million records/s",
        body.len() as f64 / seconds / 1e6,
        ROWS as f64 / seconds / 1e6,
    );
    Ok(())
}

fn measure_single(schema: &Arc<SchemaSnapshot>, body: &[u8]) -> Result<(), Box<dyn Error>> {
    const CALLS: u32 = 50;
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS * 100 {
        let started = Instant::now();
        for _ in 0..CALLS {
            black_box(decode_object(Arc::clone(schema), black_box(body))?);
        }
        best = best.min(started.elapsed());
    }
    let each = best / CALLS;
    println!("one object of {} bytes: {} ns", body.len(), each.as_nanos());
    Ok(())
}

/// Records whose values differ, of the lengths that real ones have.
fn records() -> Result<Vec<String>, Box<dyn Error>> {
    let mut records = Vec::with_capacity(ROWS);
    for n in 0..ROWS {
        let unit = n as f64;
        let mut record = String::new();
        write!(
            record,
            "{{\"field_code\":{},\"field_name\":\"South Field {n}\",\"well_code\":{},\
             \"well_reference\":\"39/{n}\",\"well_name\":\"Well North Alpha {n}\",\
             \"production_period\":\"{:04}-{:02}-01T00:00:00Z\",\"days_on_production\":{},\
             \"oil_production_kbd\":{},\"gas_production_mmcfd\":{},\
             \"liquids_production_kbd\":{},\"water_production_kbd\":{},\
             \"data_source\":\"production reporting system of the ministry, monthly {n}\",\
             \"source_data\":\"monthly volumes as allocated {n}\",\"partition_0\":\"partition {n}\"}}",
            1_000 + n % 500,
            59_806 + n,
            1_970 + n % 50,
            1 + n % 12,
            n % 31,
            (unit * 13.7).round() / 1_000.0,
            unit * 1.618_033_988_749,
            (unit * 1.3).round() / 1_000.0,
            (unit * 31.0).round() / 100.0,
        )?;
        records.push(record);
    }
    Ok(records)
}

/// The same values, without names and without quotes.
fn csv() -> Result<String, Box<dyn Error>> {
    let mut csv = String::new();
    for (n, record) in records()?.iter().enumerate() {
        let members: Vec<(&str, &str)> = record
            .trim_matches(['{', '}'])
            .split(",\"")
            .filter_map(|member| member.split_once("\":"))
            .collect();
        if n == 0 {
            let names: Vec<&str> = members.iter().map(|m| m.0.trim_matches('"')).collect();
            csv.push_str(&names.join(","));
            csv.push('\n');
        }
        let cells: Vec<String> = members
            .iter()
            .map(|(_, value)| value.trim_matches('"').replace(',', ";"))
            .collect();
        writeln!(csv, "{}", cells.join(","))?;
    }
    Ok(csv)
}
