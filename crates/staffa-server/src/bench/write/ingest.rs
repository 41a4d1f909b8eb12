//! Bodies of a million rows in every format, into schemas with and without indexes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bench::bed::{Bed, Watch, check_done, remove};
use crate::bench::client::{download, get, upload};
use crate::bench::data::{APPEND, COPIED, COPIED_APPEND, INDEXED_1, INDEXED_3, PLAIN};
use crate::bench::figure::{float, per_second};
use crate::bench::raw::RawFormat;
use crate::bench::report::{Outcome, Usage};
use crate::bench::server::Server;

const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";
const ARROW: &str = "application/vnd.apache.arrow.stream";
const PARQUET: &str = "application/vnd.apache.parquet";

/// One body into one schema.
struct Case {
    format: &'static str,
    media_type: &'static str,
    schema: &'static str,
    /// With what it is compared.
    raw: Option<RawCase>,
    /// What part of that it should reach.
    goal: Option<f64>,
}

/// What the raw engine does for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RawCase {
    /// `INSERT … FROM` the file, into a table with a key or without.
    File(RawFormat, bool),
    /// Ready batches, into a table with a key or without.
    Batches(bool),
}

const fn case(format: &'static str, schema: &'static str, raw: RawCase, goal: f64) -> Case {
    let goal = if goal > 0.0 { Some(goal) } else { None };
    let media_type = match format.as_bytes() {
        b"ndjson" => NDJSON,
        b"csv" => CSV,
        b"arrow" => ARROW,
        _ => PARQUET,
    };
    Case {
        format,
        media_type,
        schema,
        raw: Some(raw),
        goal,
    }
}

const CASES: [Case; 10] = [
    case(
        "ndjson",
        PLAIN,
        RawCase::File(RawFormat::NdJson, false),
        0.6,
    ),
    case(
        "ndjson",
        APPEND,
        RawCase::File(RawFormat::NdJson, false),
        0.8,
    ),
    case(
        "ndjson",
        INDEXED_1,
        RawCase::File(RawFormat::NdJson, true),
        0.0,
    ),
    case(
        "ndjson",
        INDEXED_3,
        RawCase::File(RawFormat::NdJson, true),
        0.0,
    ),
    case("csv", PLAIN, RawCase::File(RawFormat::Csv, true), 0.0),
    case("csv", APPEND, RawCase::File(RawFormat::Csv, false), 0.0),
    case("arrow", COPIED, RawCase::Batches(true), 0.85),
    case("arrow", COPIED_APPEND, RawCase::Batches(false), 0.85),
    case(
        "parquet",
        PLAIN,
        RawCase::File(RawFormat::Parquet, true),
        0.0,
    ),
    case(
        "parquet",
        APPEND,
        RawCase::File(RawFormat::Parquet, false),
        0.0,
    ),
];

pub(super) fn run(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let rows = bed.args().rows_or(1_000_000);
    let mut raws = RawRates::default();
    let copied = copied_rates(bed, rows)?;
    for case in CASES {
        let file = match case.format {
            "ndjson" => bed.ndjson(rows)?,
            "csv" => bed.csv(rows)?,
            "parquet" => bed.parquet(rows)?,
            _ => match arrow_file(bed, rows)? {
                Some(file) => file,
                None => continue,
            },
        };
        let raw = match case.raw {
            Some(raw) => raws.rate(bed, raw, rows)?,
            None => None,
        };
        let server = bed.server()?;
        let watch = Watch::start(&server);
        let time = match ingest(&server, case.schema, case.media_type, &file) {
            Ok(time) => time,
            Err(error) => {
                bed.say(&format!(
                    "  ingest/{} {}: {error:#}",
                    case.format, case.schema
                ));
                continue;
            }
        };
        let mut outcome = outcome(&case, rows, time, watch.finish());
        outcome = outcome
            .moving(std::fs::metadata(&file)?.len(), time)
            .against(case.raw.map_or("", name_of), raw);
        if let (Some(goal), Some(_)) = (case.goal, raw) {
            outcome = outcome.at_least_times(goal);
        }
        if case.format == "csv" {
            let at = usize::from(case.schema == APPEND);
            outcome = outcome.against("PostgreSQL \\copy", copied[at]);
        }
        bed.keep(outcome);
    }
    remove(&bed.path(&format!("{rows}.arrow")));
    Ok(())
}

fn outcome(case: &Case, rows: u64, time: Duration, usage: Usage) -> Outcome {
    let name = format!("ingest/{} {}", case.format, case.schema);
    let outcome = Outcome::new(name, per_second(float(rows), time), "rows/s").costing(usage);
    match (case.format, case.schema) {
        ("ndjson", APPEND) => outcome.memory_at_most(350.0),
        ("ndjson", PLAIN) => outcome.memory_at_most(350.0 + float(rows) * 80.0 / 1e6),
        _ => outcome,
    }
}

/// Sends a file as one bulk and answers how long that took.
pub(in crate::bench) fn ingest(
    server: &Server,
    schema: &str,
    media_type: &str,
    file: &Path,
) -> anyhow::Result<Duration> {
    let path = format!("/api/v1/records/{schema}/bulk");
    let (transfer, body) = upload(server.address(), &path, media_type, file)?;
    check_done("the bulk", transfer.answer.status, &body)?;
    Ok(transfer.total)
}

/// Rows in the Arrow format, as a server streams them; nothing where it does not.
fn arrow_file(bed: &mut Bed<'_>, rows: u64) -> anyhow::Result<Option<PathBuf>> {
    let path = bed.path(&format!("{rows}.arrow"));
    if path.exists() {
        return Ok(Some(path));
    }
    let source = bed.ndjson(rows)?;
    let server = bed.server()?;
    ingest(&server, APPEND, NDJSON, &source)?;
    let mut bytes = std::io::BufWriter::new(std::fs::File::create(&path)?);
    let request = get(&format!("/api/v1/records/{APPEND}/stream?format=arrow"), "");
    let mut written = Ok(());
    let transfer = download(server.address(), &request, &mut |piece| {
        if written.is_ok() {
            written = std::io::Write::write_all(&mut bytes, piece);
        }
    })?;
    written?;
    std::io::Write::flush(&mut bytes)?;
    if transfer.answer.status != 200 {
        bed.say(&format!(
            "the server streams no Arrow: {}",
            transfer.answer.status
        ));
        remove(&path);
        return Ok(None);
    }
    Ok(Some(path))
}

/// What the raw engine reached, each measured once.
#[derive(Debug, Default)]
struct RawRates(Vec<(RawCase, f64)>);

impl RawRates {
    fn rate(&mut self, bed: &Bed<'_>, case: RawCase, rows: u64) -> anyhow::Result<Option<f64>> {
        if let Some((_, rate)) = self.0.iter().find(|(found, _)| *found == case) {
            return Ok(Some(*rate));
        }
        let Some(raw) = bed.raw()? else {
            return Ok(None);
        };
        let ndjson = bed.ndjson(rows)?;
        let time = match case {
            RawCase::File(format, keyed) => {
                let file = match format {
                    RawFormat::NdJson => ndjson,
                    RawFormat::Csv => bed.csv(rows)?,
                    RawFormat::Parquet => bed.parquet(rows)?,
                };
                raw.table("ingest", keyed, 0)?;
                raw.insert_file("ingest", format, &file)?
            }
            RawCase::Batches(keyed) => {
                raw.table("ingest", keyed, 0)?;
                let batches = raw.batches(&ndjson, rows)?;
                raw.append("ingest", &batches)?
            }
        };
        let rate = per_second(float(rows), time);
        self.0.push((case, rate));
        Ok(Some(rate))
    }
}

const fn name_of(case: RawCase) -> &'static str {
    match case {
        RawCase::File(RawFormat::NdJson, false) => "raw INSERT FROM read_ndjson, no key",
        RawCase::File(RawFormat::NdJson, true) => "raw INSERT FROM read_ndjson, with key",
        RawCase::File(RawFormat::Csv, false) => "raw INSERT FROM read_csv, no key",
        RawCase::File(RawFormat::Csv, true) => "raw INSERT FROM read_csv, with key",
        RawCase::File(RawFormat::Parquet, false) => "raw INSERT FROM read_parquet, no key",
        RawCase::File(RawFormat::Parquet, true) => "raw INSERT FROM read_parquet, with key",
        RawCase::Batches(false) => "raw append of ready batches, no key",
        RawCase::Batches(true) => "raw append of ready batches, with key",
    }
}

/// What PostgreSQL copies in a second, with a key and without.
fn copied_rates(bed: &Bed<'_>, rows: u64) -> anyhow::Result<[Option<f64>; 2]> {
    let Some(cluster) = bed.cluster()? else {
        return Ok([None; 2]);
    };
    let file = bed.csv(rows)?;
    let mut rates = [None; 2];
    for (rate, keyed) in rates.iter_mut().zip([true, false]) {
        cluster.table("ingest", keyed)?;
        let time = cluster.copy_in("ingest", &file)?;
        *rate = Some(per_second(float(rows), time));
        cluster.sql("DROP TABLE ingest")?;
    }
    Ok(rates)
}
