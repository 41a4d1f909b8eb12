//! Bulk writes: the format and packing of the body, and what to do with what is wrong in it.

use staffa_app::{BulkMode, CreateRecords, IngestRecords, OnError, Return};
use staffa_codec::decode::{Compression, CsvOptions, InputFormat};

use axum::extract::Request;
use http::HeaderMap;

use super::body::{coding, media_type, open, open_held, require_json, unsupported};
use super::call::Call;
use super::params::Params;
use crate::problem::Problem;

/// How many errors are reported unless the request says otherwise.
const ERRORS_DEFAULT: usize = 1_000;
/// How many errors a request may ask for.
const ERRORS_MAX: usize = 100_000;

const CREATE_PARAMS: [&str; 2] = ["return", "max_errors"];
const INGEST_PARAMS: [&str; 7] = [
    "mode",
    "on_conflict",
    "on_error",
    "max_errors",
    "return",
    "null_value",
    "delimiter",
];

const MODES: [(&str, BulkMode); 5] = [
    ("insert", BulkMode::Insert),
    ("upsert", BulkMode::Upsert),
    ("ignore", BulkMode::Ignore),
    ("update", BulkMode::Update),
    ("delete", BulkMode::Delete),
];

/// Reads `POST /records/bulk`.
pub(crate) fn create_records(
    call: &Call,
    request: Request,
    body_bytes_max: usize,
) -> Result<CreateRecords, Problem> {
    let params = call.params(&CREATE_PARAMS)?;
    let words = [
        ("none", Return::None),
        ("ids", Return::Ids),
        ("records", Return::Records),
    ];
    let returning = params.word("return", &words)?.unwrap_or(Return::Records);
    let errors_max = errors_max(&params)?;
    require_json(request.headers())?;
    Ok(CreateRecords {
        body: match returning {
            // They lie in memory a second time once they are told.
            Return::Records => open_held(request, body_bytes_max as u64)?,
            Return::None | Return::Ids => open(request, Some(body_bytes_max as u64))?,
        },
        returning,
        errors_max,
    })
}

/// Reads `POST /records/{schema}/bulk`. A body that must lie in memory as a whole is of at most
/// `held_bytes_max` bytes; none where it is kept elsewhere.
pub(crate) fn ingest_records(
    call: &Call,
    request: Request,
    held_bytes_max: Option<usize>,
) -> Result<IngestRecords, Problem> {
    let params = call.params(&INGEST_PARAMS)?;
    let mode = params.word("mode", &MODES)?.unwrap_or_default();
    let names = |text: &str| text.split(',').map(str::to_owned).collect();
    let returning = [("none", Return::None), ("ids", Return::Ids)];
    let returning = params.word("return", &returning)?.unwrap_or_default();
    let on_error = [("abort", OnError::Abort), ("continue", OnError::Continue)];
    let on_error = params.word("on_error", &on_error)?.unwrap_or_default();
    let errors_max = errors_max(&params)?;
    let format = format(request.headers())?;
    let csv = csv(&params, format)?;
    let compression = compression(request.headers())?;
    let body_bytes_max = call.exchange.settings.bulk_body_bytes_max;
    Ok(IngestRecords {
        schema: call.schema.clone(),
        format,
        compression,
        csv,
        mode,
        on_conflict: params.get("on_conflict").map(names),
        on_error,
        errors_max,
        returning,
        body_bytes_max,
        body: match (format, held_bytes_max) {
            // Its index is at its end, so that it lies in memory as a whole, where it is counted.
            (InputFormat::Parquet, Some(most)) => open(request, Some(most as u64))?,
            _ => open(request, body_bytes_max)?,
        },
    })
}

fn errors_max(params: &Params<'_>) -> Result<usize, Problem> {
    let count = params.number("max_errors")?.unwrap_or(ERRORS_DEFAULT);
    if !(1..=ERRORS_MAX).contains(&count) {
        let message = format!("max_errors is 1 to {ERRORS_MAX}");
        return Err(Problem::parameter("max_errors", message));
    }
    Ok(count)
}

pub(super) fn format(headers: &HeaderMap) -> Result<InputFormat, Problem> {
    match media_type(headers).as_deref() {
        Some("application/json") => Ok(InputFormat::Json),
        Some("application/x-ndjson" | "application/ndjson") => Ok(InputFormat::NdJson),
        Some("text/csv") => Ok(InputFormat::Csv),
        Some("application/vnd.apache.arrow.stream") => Ok(InputFormat::ArrowStream),
        Some("application/vnd.apache.parquet") => Ok(InputFormat::Parquet),
        _ => Err(unsupported(
            "the Content-Type of many records is application/json (an array), \
             application/x-ndjson, text/csv, application/vnd.apache.arrow.stream or \
             application/vnd.apache.parquet",
        )),
    }
}

pub(super) fn compression(headers: &HeaderMap) -> Result<Compression, Problem> {
    match coding(headers)?.as_deref() {
        None => Ok(Compression::None),
        Some("gzip" | "x-gzip") => Ok(Compression::Gzip),
        Some("zstd") => Ok(Compression::Zstd),
        Some(_) => Err(unsupported("the Content-Encoding is gzip or zstd")),
    }
}

pub(super) fn csv(params: &Params<'_>, format: InputFormat) -> Result<CsvOptions, Problem> {
    let mut options = CsvOptions::default();
    for name in ["null_value", "delimiter"] {
        if params.get(name).is_some() && format != InputFormat::Csv {
            return Err(Problem::parameter(
                name,
                format!("{name} goes with text/csv alone"),
            ));
        }
    }
    options.null_value = params.get("null_value").map(str::to_owned);
    if let Some(text) = params.get("delimiter") {
        let [delimiter] = *text.as_bytes() else {
            return Err(bad_delimiter());
        };
        if !delimiter.is_ascii() || matches!(delimiter, b'"' | b'\n' | b'\r' | 0) {
            return Err(bad_delimiter());
        }
        options.delimiter = delimiter;
    }
    Ok(options)
}

fn bad_delimiter() -> Problem {
    let message = "delimiter is one ASCII character other than a quote or the end of a line";
    Problem::parameter("delimiter", message)
}
