//! One page of records in its envelope.

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use staffa_app::{Context, RecordPage, Stage};
use staffa_codec::encode::{JsonRecordEncoder, Shape};
use staffa_domain::Count;

use super::pieces::Cutter;
use super::{json, push_json};
use crate::exchange::Exchange;
use crate::problem::Problem;

/// Writes a page. `select` names the properties that its records have, all when absent.
pub(crate) async fn page(
    exchange: &Exchange,
    page: RecordPage,
    (select, size): (Option<&[usize]>, u64),
) -> Result<Response, Problem> {
    let rows = page.records.num_rows();
    let mut out = Vec::with_capacity(256 + rows * 256);
    out.extend_from_slice(br#"{"success":true,"message":"#);
    push_json(&mut out, &format!("{rows} records on this page"));
    out.extend_from_slice(br#","schema_name":"#);
    push_json(&mut out, &page.schema.name());
    out.extend_from_slice(br#","data":{"items":["#);
    push_items(&exchange.context, &page, select, &mut out).await?;
    out.push(b']');
    let total = page.total;
    let rest = [
        ("total", json!(total.map(|count| count.records))),
        ("total_relation", json!(total.map(Count::relation))),
        ("page", json!(page.page)),
        ("size", json!(size)),
        ("has_next", json!(page.has_next)),
        ("has_previous", json!(page.has_previous)),
        ("next_cursor", json!(page.next_cursor)),
    ];
    for (name, value) in rest {
        out.push(b',');
        push_json(&mut out, &name);
        out.push(b':');
        push_json(&mut out, &value);
    }
    out.extend_from_slice(br#"},"execution_time_ms":"#);
    push_json(&mut out, &exchange.elapsed_ms());
    out.push(b'}');
    Ok(json(StatusCode::OK, out))
}

async fn push_items(
    ctx: &Context,
    page: &RecordPage,
    select: Option<&[usize]>,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let mut encoder = JsonRecordEncoder::new(&page.schema, select, Shape::Record);
    let mut cutter = Cutter::default();
    let (mut first, mut from) = (true, 0);
    while let Some(piece) = cutter.cut(&page.records, from) {
        let before = out.len();
        ctx.time(Stage::Encode, || {
            encoder.encode_list(&piece, out, &mut first)
        })
        .map_err(Problem::internal)?;
        cutter.learn(piece.num_rows(), out.len() - before);
        from += piece.num_rows();
        if from < page.records.num_rows() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
