//! Bodies as they come in: JSON held whole, or a stream of pieces.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use futures_util::StreamExt;
use futures_util::stream;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, Version};
use http_body_util::BodyExt;

use staffa_app::{BodyError, ByteStream, Error};

use crate::exchange::Exchange;
use crate::problem::{Code, Problem};

/// A JSON body that fits in memory: one record, or one question.
pub(crate) struct JsonBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        Self::whole(request).await
    }
}

impl JsonBody {
    /// The whole of a body, whatever it is.
    pub(super) async fn whole(request: Request) -> Result<Self, Problem> {
        let bytes_max = exchange_of(&request)?.settings.json_body_bytes_max;
        let mut body = open_held(request, bytes_max)?;
        let first = body
            .next()
            .await
            .transpose()
            .map_err(Error::from)?
            .unwrap_or_default();
        let Some(second) = body.next().await.transpose().map_err(Error::from)? else {
            return Ok(Self(first));
        };
        let mut whole = Vec::with_capacity(first.len() + second.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(piece) = body.next().await {
            whole.extend_from_slice(&piece.map_err(Error::from)?);
        }
        Ok(Self(whole.into()))
    }
}

/// Refuses a body that says of itself that it is no JSON, or that it is packed.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = media_type(headers);
    let is_json = match kind.as_deref() {
        None => true,
        Some("application/json" | "application/merge-patch+json") => true,
        Some(other) => other.starts_with("application/") && other.ends_with("+json"),
    };
    if !is_json {
        return Err(unsupported("the body of this route is application/json"));
    }
    if coding(headers)?.is_some() {
        return Err(unsupported(
            "the body of this route has no Content-Encoding",
        ));
    }
    Ok(())
}

/// How the body is packed, in small letters; none where it is not. It is packed once.
pub(crate) fn coding(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    let coding = codings.next();
    if codings.next().is_some() {
        return Err(unsupported("a request has one Content-Encoding"));
    }
    let coding = coding.map(|coding| coding.to_str().unwrap_or("unreadable"));
    Ok(coding
        .map(str::to_ascii_lowercase)
        .filter(|coding| coding != "identity"))
}

/// The media type of the body, in small letters and without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().unwrap_or("unreadable");
    let kind = value.split(';').next().unwrap_or_default();
    Some(kind.trim().to_ascii_lowercase())
}

pub(crate) fn unsupported(detail: &str) -> Problem {
    Problem::new(Code::UNSUPPORTED_MEDIA_TYPE, detail)
}

/// Looks at what the head says about the body, before a byte of it is read.
fn check_length(request: &Request, bytes_max: Option<u64>) -> Result<(), Problem> {
    let headers = request.headers();
    let is_told = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
    let is_empty = http_body::Body::is_end_stream(request.body());
    if is_empty && !is_told && request.version() < Version::HTTP_2 {
        let detail = "the request has neither a Content-Length nor a chunked body";
        return Err(Problem::new(Code::LENGTH_REQUIRED, detail));
    }
    let Some(max_bytes) = bytes_max else {
        return Ok(());
    };
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    // A length beyond 64 bits cannot be read, and is refused further down.
    if length.is_some_and(|length: u64| length > max_bytes) {
        return Err(Error::Body(BodyError::TooLarge { max_bytes }).into());
    }
    Ok(())
}

/// The pieces of a body of at most `bytes_max` bytes, none of which may be long in coming.
/// Each is worked on as it comes.
pub(crate) fn open(request: Request, bytes_max: Option<u64>) -> Result<ByteStream, Problem> {
    pieces(request, bytes_max, false)
}

/// The pieces of a body that lies in memory as a whole before it is answered.
pub(crate) fn open_held(request: Request, bytes_max: u64) -> Result<ByteStream, Problem> {
    pieces(request, Some(bytes_max), true)
}

fn pieces(request: Request, bytes_max: Option<u64>, is_held: bool) -> Result<ByteStream, Problem> {
    check_length(&request, bytes_max)?;
    let source = Source {
        exchange: exchange_of(&request)?,
        body: request.into_body(),
        left: bytes_max,
        bytes_max,
        is_held,
    };
    // Fused: a reader may look once more after the end to be sure of it.
    let pieces = stream::unfold(Some(source), |source| async {
        let mut source = source?;
        match source.next().await {
            Some(Ok(piece)) => Some((Ok(piece), Some(source))),
            Some(Err(error)) => Some((Err(error), None)),
            None => None,
        }
    });
    Ok(Box::pin(pieces.fuse()))
}

fn exchange_of(request: &Request) -> Result<Arc<Exchange>, Problem> {
    let exchange = request.extensions().get::<Arc<Exchange>>().map(Arc::clone);
    exchange.ok_or_else(|| Problem::internal("a route without its frame"))
}

struct Source {
    body: Body,
    left: Option<u64>,
    bytes_max: Option<u64>,
    is_held: bool,
    exchange: Arc<Exchange>,
}

impl Source {
    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            if http_body::Body::is_end_stream(&self.body) {
                return None;
            }
            self.exchange.set_reading(true);
            let frame = self.body.frame();
            let frame = tokio::time::timeout(self.exchange.settings.body_idle_timeout, frame).await;
            self.exchange.set_reading(false);
            match frame {
                Err(_) => return Some(Err(BodyError::TimedOut)),
                Ok(None) => return None,
                Ok(Some(Err(_))) => return Some(Err(BodyError::Disconnected)),
                Ok(Some(Ok(frame))) => {
                    // Trailers say nothing that is needed here.
                    if let Ok(piece) = frame.into_data() {
                        return Some(self.take(piece));
                    }
                }
            }
        }
    }

    fn take(&mut self, piece: Bytes) -> Result<Bytes, BodyError> {
        self.exchange.count_bytes_in(piece.len());
        if let Some(left) = self.left {
            let max_bytes = self.bytes_max.unwrap_or_default();
            let left = left.checked_sub(piece.len() as u64);
            self.left = Some(left.ok_or(BodyError::TooLarge { max_bytes })?);
        }
        if self.is_held {
            self.exchange.context.hold(piece.len())?;
        }
        Ok(piece)
    }
}
