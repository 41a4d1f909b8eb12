//! The groups of an aggregation in their envelope.

use axum::response::Response;
use http::StatusCode;

use staffa_app::{GroupView, Stage};
use staffa_codec::encode::encode_groups;

use super::pieces::Cutter;
use super::{json, push_json};
use crate::exchange::Exchange;
use crate::problem::Problem;

/// Writes one object a group.
pub(crate) async fn groups(exchange: &Exchange, view: &GroupView) -> Result<Response, Problem> {
    let mut out = br#"{"success":true,"schema_name":"#.to_vec();
    push_json(&mut out, &view.question.schema.name());
    out.extend_from_slice(br#","data":{"items":["#);
    let mut cutter = Cutter::default();
    let (mut first, mut from) = (true, 0);
    while let Some(piece) = cutter.cut(&view.groups, from) {
        let before = out.len();
        let encode = || encode_groups(&view.question, &piece, &mut out, &mut first);
        let encoded = exchange.context.time(Stage::Encode, encode);
        encoded.map_err(Problem::internal)?;
        cutter.learn(piece.num_rows(), out.len() - before);
        from += piece.num_rows();
        if from < view.groups.num_rows() {
            tokio::task::yield_now().await;
        }
    }
    out.extend_from_slice(br#"]},"execution_time_ms":"#);
    push_json(&mut out, &exchange.elapsed_ms());
    out.push(b'}');
    Ok(json(StatusCode::OK, out))
}
