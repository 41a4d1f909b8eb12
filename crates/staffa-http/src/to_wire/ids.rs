//! Answers with a list of ids, written piece by piece as the client takes them.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::StatusCode;

use staffa_domain::RecordId;

use super::{json, push_json};

/// How many ids one piece holds: some 40 kilobytes.
const PIECE_IDS: usize = 1_024;

/// An answer of `head`, the ids as a JSON array, and `tail`.
pub(crate) fn answer(
    status: StatusCode,
    head: Vec<u8>,
    ids: Vec<RecordId>,
    tail: Vec<u8>,
) -> Response {
    let starts = (0..ids.len()).step_by(PIECE_IDS);
    let pieces = starts.map(move |from| {
        let to = ids.len().min(from + PIECE_IDS);
        piece(&ids[from..to], from == 0)
    });
    let open = [head, b"[".to_vec()].concat();
    let close = [b"]".to_vec(), tail].concat();
    let whole = std::iter::once(open)
        .chain(pieces)
        .chain(std::iter::once(close));
    let whole = stream::iter(whole.map(|piece| Ok::<_, Infallible>(Bytes::from(piece))));
    // Fused: a layer that packs the answer asks once more after its end.
    json(status, Body::from_stream(whole.fuse()))
}

fn piece(ids: &[RecordId], mut first: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(ids.len() * 39);
    for id in ids {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        push_json(&mut out, &id.to_string());
    }
    out
}
