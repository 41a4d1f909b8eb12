//! Streams: what to send, and in which form.

use staffa_app::{Queries, StreamRecords};
use staffa_codec::encode::{OutputFormat, Shape};

use super::accept::{best, refuse};
use super::call::Call;
use super::params::{Params, SHORT_FILTERS};
use super::question::{fields, filter, limits, sort};
use crate::problem::Problem;

const PARAMS: [&str; 8] = [
    "filters",
    "sort",
    "fields",
    "limit",
    "format",
    "shape",
    "end_marker",
    SHORT_FILTERS,
];
const TYPES: [(&str, OutputFormat); 4] = [
    ("application/x-ndjson", OutputFormat::NdJson),
    ("text/csv", OutputFormat::Csv),
    (
        "application/vnd.apache.arrow.stream",
        OutputFormat::ArrowStream,
    ),
    ("application/vnd.apache.parquet", OutputFormat::Parquet),
];
const WORDS: [(&str, OutputFormat); 4] = [
    ("ndjson", OutputFormat::NdJson),
    ("csv", OutputFormat::Csv),
    ("arrow", OutputFormat::ArrowStream),
    ("parquet", OutputFormat::Parquet),
];

/// The form of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) format: OutputFormat,
    pub(crate) shape: Shape,
    /// Whether a last line says that it is complete.
    pub(crate) end_marker: bool,
}

/// Reads `GET …/stream`.
pub(crate) fn stream_records(
    queries: &Queries,
    call: &Call,
) -> Result<(StreamRecords, Form), Problem> {
    let schema = queries.schema(&call.schema)?;
    let params = call.params(&PARAMS)?;
    let form = form(call, &params)?;
    let request = StreamRecords {
        filter: filter(&limits(queries.limits()), &schema, &params)?,
        sort: sort(&schema, &params)?,
        select: fields(&schema, &params)?,
        limit: params.number("limit")?,
        schema,
    };
    Ok((request, form))
}

fn form(call: &Call, params: &Params<'_>) -> Result<Form, Problem> {
    let format = match params.word("format", &WORDS)? {
        Some(format) => format,
        None => best(call.accept.as_ref(), &TYPES).ok_or_else(|| refuse(&TYPES.map(|t| t.0)))?,
    };
    let is_lines = format == OutputFormat::NdJson;
    let shape = params.word("shape", &[("record", Shape::Record), ("data", Shape::Data)])?;
    if shape == Some(Shape::Record) && !is_lines {
        let message = "only application/x-ndjson has the shape record";
        return Err(Problem::parameter("shape", message));
    }
    let end_marker = params.boolean("end_marker")?.unwrap_or(false);
    if end_marker && !is_lines {
        let message = "only application/x-ndjson has an end marker";
        return Err(Problem::parameter("end_marker", message));
    }
    Ok(Form {
        format,
        shape: shape.unwrap_or_default(),
        end_marker,
    })
}
