//! The records of a bulk creation, as much of them as the request wants back.

use std::convert::Infallible;
use std::sync::Arc;

use arrow_array::RecordBatch;
use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::StatusCode;

use staffa_app::{CreatedRecords, Return, Stage};
use staffa_codec::encode::{JsonRecordEncoder, Shape};

use super::pieces::Cutter;
use super::{ids, json, push_json};
use crate::exchange::Exchange;

/// Writes the answer of `POST /records/bulk`, piece by piece as the client takes it.
pub(crate) fn created(
    exchange: &Arc<Exchange>,
    created: CreatedRecords,
    returning: Return,
) -> Response {
    let mut head = br#"{"success":true,"message":"#.to_vec();
    push_json(&mut head, &format!("{} records created", created.created));
    head.extend_from_slice(br#","records_created":"#);
    push_json(&mut head, &created.created);
    match returning {
        Return::None => {
            head.push(b'}');
            return json(StatusCode::CREATED, head);
        }
        Return::Ids => {
            head.extend_from_slice(br#","ids":"#);
            return ids::answer(StatusCode::CREATED, head, created.ids, b"}".to_vec());
        }
        Return::Records => head.extend_from_slice(br#","records":["#),
    }
    let writer = Writer {
        exchange: Arc::clone(exchange),
        encoder: JsonRecordEncoder::new(&created.schema, None, Shape::Record),
        batches: created.records.into_iter(),
        batch: None,
        cutter: Cutter::default(),
        first: true,
        is_over: false,
    };
    let pieces = stream::unfold((Some(head), writer), |(head, mut writer)| async {
        let piece = head.or_else(|| writer.next())?;
        Some((Ok::<_, Infallible>(Bytes::from(piece)), (None, writer)))
    });
    // Fused: a layer that packs the answer asks once more after its end.
    json(StatusCode::CREATED, Body::from_stream(pieces.fuse()))
}

struct Writer {
    exchange: Arc<Exchange>,
    encoder: JsonRecordEncoder,
    batches: std::vec::IntoIter<RecordBatch>,
    batch: Option<(RecordBatch, usize)>,
    cutter: Cutter,
    first: bool,
    is_over: bool,
}

impl Writer {
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let (batch, from) = match self.batch.take() {
                Some(current) => current,
                None => match self.batches.next() {
                    Some(batch) => (batch, 0),
                    None if self.is_over => return None,
                    None => {
                        self.is_over = true;
                        return Some(b"]}".to_vec());
                    }
                },
            };
            if let Some(piece) = self.cutter.cut(&batch, from) {
                let rows = piece.num_rows();
                let exchange = Arc::clone(&self.exchange);
                let out = exchange.context.time(Stage::Encode, || self.encode(&piece));
                self.cutter.learn(rows, out.len());
                self.batch = Some((batch, from + rows));
                return Some(out);
            }
        }
    }

    fn encode(&mut self, piece: &RecordBatch) -> Vec<u8> {
        let mut out = Vec::new();
        // The batch was made by the layout of the encoder's own schema.
        let _ = self.encoder.encode_list(piece, &mut out, &mut self.first);
        out
    }
}
