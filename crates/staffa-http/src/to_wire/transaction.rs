//! What each operation of a transaction did, piece by piece as the client takes it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::StatusCode;

use staffa_app::{Stage, StepResult};
use staffa_codec::encode::{JsonRecordEncoder, Shape};

use super::{json, push_json};
use crate::exchange::Exchange;

/// When a piece is large enough to be sent.
const PIECE_BYTES: usize = 32 << 10;

/// Writes the answer of `POST /transactions`.
pub(crate) fn results(exchange: &Arc<Exchange>, results: Vec<StepResult>) -> Response {
    let writer = Writer {
        exchange: Arc::clone(exchange),
        results: results.into_iter(),
        encoders: HashMap::new(),
        state: State::Start,
    };
    let pieces = stream::unfold(writer, |mut writer| async {
        let piece = writer.next()?;
        Some((Ok::<_, Infallible>(Bytes::from(piece)), writer))
    });
    // Fused: a layer that packs the answer asks once more after its end.
    json(StatusCode::OK, Body::from_stream(pieces.fuse()))
}

#[derive(PartialEq)]
enum State {
    Start,
    Within,
    Over,
}

struct Writer {
    exchange: Arc<Exchange>,
    results: std::vec::IntoIter<StepResult>,
    encoders: HashMap<String, JsonRecordEncoder>,
    state: State,
}

impl Writer {
    fn next(&mut self) -> Option<Vec<u8>> {
        if self.state == State::Over {
            return None;
        }
        let exchange = Arc::clone(&self.exchange);
        Some(exchange.context.time(Stage::Encode, || self.piece()))
    }

    fn piece(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.state == State::Start {
            out.extend_from_slice(br#"{"success":true,"results":["#);
        }
        while out.len() < PIECE_BYTES {
            let Some(result) = self.results.next() else {
                out.extend_from_slice(br#"],"execution_time_ms":"#);
                push_json(&mut out, &self.exchange.elapsed_ms());
                out.push(b'}');
                self.state = State::Over;
                return out;
            };
            if self.state == State::Within {
                out.push(b',');
            }
            self.state = State::Within;
            self.push(&result, &mut out);
        }
        out
    }

    fn push(&mut self, result: &StepResult, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"op":"#);
        push_json(out, &result.verb.as_str());
        if let Some(name) = &result.name {
            out.extend_from_slice(br#","as":"#);
            push_json(out, name);
        }
        if let Some(id) = result.id {
            out.extend_from_slice(br#","id":"#);
            push_json(out, &id.to_string());
        }
        if let Some(record) = &result.record {
            out.extend_from_slice(br#","version":"#);
            push_json(out, &record.version());
            out.extend_from_slice(br#","record":"#);
            let schema = &record.schema;
            let encoder = self
                .encoders
                .entry(schema.name().to_owned())
                .or_insert_with(|| JsonRecordEncoder::new(schema, None, Shape::Record));
            // The record was made by the layout of the encoder's own schema.
            let _ = encoder.encode_row(&record.records, 0, out);
        }
        out.push(b'}');
    }
}
