//! Requests with an `Idempotency-Key`: carried out once, and answered alike however often they
//! come.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;

use staffa_app::{
    BodyPacker, Claim, Commands, Done, Error, Fingerprint, KeptBody, Once, Teller, Told,
};
use staffa_domain::StorageError;

use super::is_question;
use super::kept::KeptStream;
use crate::exchange::Exchange;
use crate::from_wire::body::open;
use crate::problem::{Code, Problem};
use crate::to_wire;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_LEN_MAX: usize = 255;

/// Whether a request asks to be carried out once, and does something that can be.
pub(super) fn is_keyed(request: &Request<Body>) -> bool {
    let path = request.uri().path();
    request.headers().contains_key(KEY)
        && [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(request.method())
        && (path.starts_with("/api/v1/records") || path == "/api/v1/transactions")
        && !is_question(path)
}

/// Answers a request with a key.
pub(super) async fn answer(
    router: Router,
    request: Request<Body>,
    exchange: Arc<Exchange>,
    commands: Commands,
) -> Response {
    let answer = carry_out(router, request, exchange, &commands).await;
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn carry_out(
    router: Router,
    request: Request<Body>,
    exchange: Arc<Exchange>,
    commands: &Commands,
) -> Result<Response, Problem> {
    let key = read_key(request.headers())?;
    let claim = commands.claim_key(&key)?;
    let fingerprint = fingerprint_of(&key, &request);
    let ctx = &exchange.context;
    if let Some(kept) = commands.kept_answer(ctx, &claim).await? {
        read_through(request, &exchange, &fingerprint).await?;
        return replay(&kept.answer(&fingerprint)?);
    }
    let teller = Arc::new(Telling {
        exchange: Arc::downgrade(&exchange),
        body_bytes_max: commands.limits().kept_answer_bytes_max,
    });
    ctx.set_once(Once::new(&claim, fingerprint.clone(), teller));
    let request = request.map(|body| listened(body, fingerprint.clone()));
    let response = super::route(router, request).await;
    end(response, &exchange, (commands, &claim, &fingerprint)).await
}

/// The answer as it was kept, or what the routes say where nothing was.
async fn end(
    response: Response,
    exchange: &Exchange,
    (commands, claim, fingerprint): (&Commands, &Claim, &Fingerprint),
) -> Result<Response, Problem> {
    let Some(once) = exchange.context.once() else {
        return Ok(response);
    };
    if let Some(told) = once.told() {
        return respond(told);
    }
    if let Some(message) = once.too_long() {
        return Err(Error::TooLarge(message.to_owned()).into());
    }
    if once.is_taken()
        && let Some(kept) = commands.kept_answer(&exchange.context, claim).await?
    {
        return replay(&kept.answer(fingerprint)?);
    }
    Ok(response)
}

/// A write of which nobody knows whether it is stored may be sent again with its key, which
/// makes sure that it is stored once.
pub(super) fn allow_again(response: &mut Response) {
    let unknown = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = unknown {
        let may = problem.code() == Code::COMMIT_UNKNOWN || problem.is_retryable();
        response.extensions_mut().insert(problem.retryable(may));
    }
}

/// One key of 1 to 255 visible characters or spaces, in quotes or without.
fn read_key(headers: &HeaderMap) -> Result<String, Problem> {
    let refuse = |message: String| Problem::parameter(KEY.as_str(), message);
    let mut keys = headers.get_all(KEY).iter();
    let (key, None) = (keys.next(), keys.next()) else {
        return Err(refuse("a request has one Idempotency-Key".to_owned()));
    };
    let text = key.and_then(|key| key.to_str().ok()).map(str::trim);
    let quoted = text.and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
    let key = quoted.or(text).filter(|key| {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~');
        (1..=KEY_LEN_MAX).contains(&key.len()) && key.bytes().all(is_plain)
    });
    key.map(str::to_owned)
        .ok_or_else(|| refuse(format!("the key has 1 to {KEY_LEN_MAX} ASCII characters")))
}

fn fingerprint_of(key: &str, request: &Request<Body>) -> Fingerprint {
    let target = request.uri().path_and_query();
    let header = |name| {
        request
            .headers()
            .get(name)
            .map_or(&b""[..], HeaderValue::as_bytes)
    };
    Fingerprint::new([
        key.as_bytes(),
        request.method().as_str().as_bytes(),
        target.map_or("", |target| target.as_str()).as_bytes(),
        header(CONTENT_TYPE),
        header(CONTENT_ENCODING),
    ])
}

/// The body, of which the fingerprint learns what is read.
fn listened(body: Body, fingerprint: Fingerprint) -> Body {
    Body::new(body.map_frame(move |frame| {
        if let Some(piece) = frame.data_ref() {
            fingerprint.feed(piece);
        }
        frame
    }))
}

/// Reads a body for its fingerprint alone.
async fn read_through(
    request: Request<Body>,
    exchange: &Exchange,
    fingerprint: &Fingerprint,
) -> Result<(), Problem> {
    if request.method() == Method::DELETE {
        return Ok(());
    }
    let mut body = open(request, exchange.settings.bulk_body_bytes_max)?;
    while let Some(piece) = body.next().await {
        fingerprint.feed(&piece.map_err(Error::from)?);
        tokio::task::coop::consume_budget().await;
    }
    Ok(())
}

fn respond(told: &Told) -> Result<Response, Problem> {
    let body = KeptStream::new(&told.body).map_err(Problem::internal)?;
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = StatusCode::from_u16(told.status).map_err(Problem::internal)?;
    for (name, value) in &told.headers {
        let name = HeaderName::try_from(name).map_err(Problem::internal)?;
        let value = HeaderValue::try_from(value).map_err(Problem::internal)?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

fn replay(told: &Told) -> Result<Response, Problem> {
    let mut response = respond(told)?;
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Writes the answers of one request as they are kept. It must not keep the exchange alive,
/// whose part it is.
#[derive(Debug)]
struct Telling {
    exchange: Weak<Exchange>,
    body_bytes_max: usize,
}

#[async_trait]
impl Teller for Telling {
    async fn tell(&self, done: Done<'_>) -> Result<Told, Error> {
        let exchange = self.exchange.upgrade();
        let exchange = exchange.ok_or_else(|| failed("the request is over"))?;
        let response = to_wire::done::done(&exchange, done)
            .map_err(|problem| failed(problem.fault().unwrap_or("an answer cannot be written")))?;
        let (mut head, body) = response.into_parts();
        head.headers.remove(CONTENT_LENGTH);
        let mut headers = Vec::new();
        for (name, value) in &head.headers {
            let value = value.to_str().map_err(StorageError::internal)?;
            headers.push((name.to_string(), value.to_owned()));
        }
        Ok(Told {
            status: head.status.as_u16(),
            headers,
            body: self.collect(body).await?,
        })
    }
}

impl Telling {
    /// The whole body, unless it is too long.
    async fn collect(&self, body: Body) -> Result<KeptBody, Error> {
        let mut packer = BodyPacker::new(self.body_bytes_max);
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            packer.put(&piece.map_err(StorageError::internal)?)?;
            tokio::task::coop::consume_budget().await;
        }
        packer.finish()
    }
}

fn failed(fault: &str) -> Error {
    StorageError::internal(fault.to_owned()).into()
}
