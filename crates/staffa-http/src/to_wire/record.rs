//! One record as an answer, with its entity tag.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::{ETAG, LOCATION};
use http::{HeaderValue, StatusCode};

use staffa_app::{Context, RecordView, Stage};
use staffa_codec::encode::{JsonRecordEncoder, Shape};
use staffa_domain::record::system;

use super::json;
use crate::problem::Problem;

/// What most records take as text, so that the buffer does not grow step by step.
const RECORD_BYTES: usize = 1024;

/// The record itself.
pub(crate) fn record(
    ctx: &Context,
    view: &RecordView,
    select: Option<&[usize]>,
) -> Result<Response, Problem> {
    let mut out = Vec::with_capacity(RECORD_BYTES);
    push(ctx, view, select, &mut out)?;
    let mut response = json(StatusCode::OK, out);
    tag(&mut response, view)?;
    Ok(response)
}

/// A new record, and where it is.
pub(crate) fn created(ctx: &Context, view: &RecordView) -> Result<Response, Problem> {
    let mut response = record(ctx, view, None)?;
    place(&mut response, view)?;
    Ok(response)
}

/// A new record in an envelope.
pub(crate) fn created_enveloped(ctx: &Context, view: &RecordView) -> Result<Response, Problem> {
    let mut out = Vec::with_capacity(RECORD_BYTES);
    out.extend_from_slice(br#"{"success":true,"message":"record created","record":"#);
    push(ctx, view, None, &mut out)?;
    out.push(b'}');
    let mut response = json(StatusCode::CREATED, out);
    tag(&mut response, view)?;
    place(&mut response, view)?;
    Ok(response)
}

/// The reader has this version already.
pub(crate) fn not_modified(view: &RecordView) -> Result<Response, Problem> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    tag(&mut response, view)?;
    Ok(response)
}

fn push(
    ctx: &Context,
    view: &RecordView,
    select: Option<&[usize]>,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let encoded = ctx.time(Stage::Encode, || {
        let mut encoder = JsonRecordEncoder::new(&view.schema, select, Shape::Record);
        let Some(positions) = select else {
            return encoder.encode_row(&view.records, 0, out);
        };
        let chosen = positions.iter().map(|position| system::COUNT + position);
        let columns: Vec<usize> = (0..system::COUNT).chain(chosen).collect();
        encoder.encode_row(&view.records.project(&columns)?, 0, out)
    });
    encoded.map_err(Problem::internal)
}

fn tag(response: &mut Response, view: &RecordView) -> Result<(), Problem> {
    let version = view
        .version()
        .ok_or_else(|| Problem::internal("a record has no version"))?;
    let tag = HeaderValue::try_from(format!("\"{version}\"")).map_err(Problem::internal)?;
    response.headers_mut().insert(ETAG, tag);
    Ok(())
}

fn place(response: &mut Response, view: &RecordView) -> Result<(), Problem> {
    let id = view
        .id()
        .ok_or_else(|| Problem::internal("a record has no id"))?;
    let place = format!("/api/v1/records/{}/{id}", Arc::as_ref(&view.schema).name());
    let place = HeaderValue::try_from(place).map_err(Problem::internal)?;
    response.headers_mut().insert(LOCATION, place);
    *response.status_mut() = StatusCode::CREATED;
    Ok(())
}
