//! Samples from which a schema is proposed, and the form of the answer.

use axum::extract::Request;
use staffa_app::{Error, InferSchema, SampleSize};
use staffa_codec::decode::InputFormat;

use super::accept::{best, refuse};
use super::body::{open, open_held};
use super::bulk::{compression, csv, format};
use super::call::Call;
use crate::problem::Problem;

/// The media type of JSON.
pub(crate) const JSON: &str = "application/json";

const PARAMS: [&str; 3] = ["name", "null_value", "delimiter"];

/// What a schema is called where the request gives it no name.
const NAME: &str = "records";

/// The media types of an answer; what is not JSON is YAML.
const FORMS: [(&str, &str); 3] = [
    (JSON, JSON),
    ("application/yaml", "application/yaml"),
    ("text/yaml", "text/yaml"),
];

/// The most bytes that one sample keeps busy, whatever its form, beside what it is read from.
const HELD_BYTES: usize = 16 << 20;

/// The media type in which the proposal is answered: that of JSON, or one of YAML.
pub(crate) fn form(call: &Call) -> Result<&'static str, Problem> {
    let found = best(call.accept.as_ref(), &FORMS);
    found.ok_or_else(|| refuse(&FORMS.map(|(kind, _)| kind)))
}

/// Reads `POST /schemas/infer`.
pub(crate) fn infer_schema(
    call: &Call,
    request: Request,
    held_bytes_max: usize,
) -> Result<InferSchema, Problem> {
    let params = call.params(&PARAMS)?;
    let format = format(request.headers())?;
    let csv = csv(&params, format)?;
    let compression = compression(request.headers())?;
    let held = call.exchange.context.hold(HELD_BYTES);
    held.map_err(Error::Body)?;
    Ok(InferSchema {
        name: params.get("name").unwrap_or(NAME).to_owned(),
        format,
        compression,
        csv,
        size: SampleSize::REQUEST,
        body: match format {
            // Its index is at its end, so that it lies in memory as a whole.
            InputFormat::Parquet => open_held(request, held_bytes_max as u64)?,
            // No more of it is read than is looked at.
            _ => open(request, None)?,
        },
    })
}
