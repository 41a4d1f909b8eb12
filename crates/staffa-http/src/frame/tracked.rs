//! An answer's body that counts what leaves, and reports the request when it is over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Method, StatusCode};
use http_body::{Frame, SizeHint};

use staffa_app::Stage;

use super::Permit;
use crate::exchange::Exchange;
use crate::state::{Observer, RequestSummary};

/// What the report is made of.
pub(super) struct Report {
    pub(super) status: StatusCode,
    pub(super) method: Method,
    pub(super) exchange: Arc<Exchange>,
    pub(super) observer: Option<Observer>,
    pub(super) _permit: Permit,
}

pub(super) struct TrackedBody {
    inner: Body,
    bytes_out: u64,
    is_over: bool,
    report: Report,
}

impl TrackedBody {
    pub(super) const fn new(inner: Body, report: Report) -> Self {
        Self {
            inner,
            bytes_out: 0,
            is_over: false,
            report,
        }
    }
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                self.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64);
                // Nothing comes after trailers, and nobody need ask whether it does.
                self.is_over |= frame.is_trailers();
            }
            Some(Err(_)) => {}
            None => self.is_over = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        let head = self.report.method == Method::HEAD;
        let complete = self.is_over || head || http_body::Body::is_end_stream(&self.inner);
        self.report.send(self.bytes_out, complete);
    }
}

impl Report {
    fn send(&self, bytes_out: u64, complete: bool) {
        let exchange = &self.exchange;
        let summary = RequestSummary {
            request_id: exchange.request_id(),
            method: self.method.as_str(),
            route: exchange.route(),
            status: self.status.as_u16(),
            schema: exchange.schema(),
            records: exchange.context.records(),
            bytes_in: exchange.bytes_in(),
            bytes_out,
            decode: exchange.spent(Stage::Decode),
            validate: exchange.spent(Stage::Validate),
            engine: exchange.spent(Stage::Engine),
            encode: exchange.spent(Stage::Encode),
            total: exchange.elapsed(),
            complete,
        };
        log(&summary);
        if let Some(observer) = &self.observer {
            observer(&summary);
        }
    }
}

fn log(summary: &RequestSummary<'_>) {
    tracing::info!(
        request_id = summary.request_id,
        method = summary.method,
        route = summary.route,
        status = summary.status,
        schema = summary.schema,
        records = summary.records,
        bytes_in = summary.bytes_in,
        bytes_out = summary.bytes_out,
        decode_ms = millis(summary.decode),
        validate_ms = millis(summary.validate),
        engine_ms = millis(summary.engine),
        encode_ms = millis(summary.encode),
        total_ms = millis(summary.total),
        complete = summary.complete,
        "request answered"
    );
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
