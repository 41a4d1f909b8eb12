//! Who is called: the path's parameters, the query, and the request's context.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderValue, Method, Uri};

use staffa_app::{Context, Error};
use staffa_domain::RecordId;

use super::accept::{accepts, refuse};
use super::params::Params;
use crate::exchange::Exchange;
use crate::problem::Problem;
use crate::route_table::INFER;

/// The head of a request, as far as handlers need it.
pub(crate) struct Call {
    pub(crate) exchange: Arc<Exchange>,
    /// The schema that the path names; empty where it names none.
    pub(crate) schema: String,
    pub(crate) accept: Option<HeaderValue>,
    uri: Uri,
    id: Option<String>,
}

impl Call {
    pub(crate) fn context(&self) -> &Context {
        &self.exchange.context
    }

    /// The version that the path names.
    pub(crate) fn version(&self) -> Result<u32, Problem> {
        let text = self.id.as_deref().unwrap_or_default();
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let version = text.parse().ok().filter(|_| digits);
        let problem = || Problem::parameter("version", "a version is a whole number");
        version.ok_or_else(problem)
    }

    /// The query's parameters, of which only these may be there.
    pub(crate) fn params(&self, allowed: &[&'static str]) -> Result<Params<'_>, Problem> {
        Params::read(self.uri.query(), allowed)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let exchange = enter(parts)?;
        let is_sample = exchange.route() == INFER && parts.method == Method::POST;
        let kind = match exchange.route() {
            // These choose among several themselves.
            route if route.ends_with("/stream") => None,
            _ if is_sample => None,
            route if route.ends_with("/errors") => Some("application/x-ndjson"),
            _ => Some("application/json"),
        };
        let accept = parts.headers.get(ACCEPT).cloned();
        if let Some(kind) = kind.filter(|kind| !accepts(accept.as_ref(), &[*kind])) {
            return Err(refuse(&[kind]));
        }
        let mut call = Self {
            exchange,
            schema: String::new(),
            accept,
            uri: parts.uri.clone(),
            id: None,
        };
        let path = RawPathParams::from_request_parts(parts, state).await;
        let path = path.map_err(|_| Problem::parameter("path", "the path is not UTF-8"))?;
        for (name, value) in &path {
            match name {
                "id" | "version" => call.id = Some(value.to_owned()),
                _ => value.clone_into(&mut call.schema),
            }
        }
        if call.exchange.route() == INFER && !is_sample {
            // A schema that is called like the route.
            "infer".clone_into(&mut call.schema);
        }
        if !call.schema.is_empty() {
            call.exchange.set_schema(&call.schema);
        }
        Ok(call)
    }
}

/// Finds what the frame made for the request, and tells it the route.
fn enter(parts: &Parts) -> Result<Arc<Exchange>, Problem> {
    let exchange = parts.extensions.get::<Arc<Exchange>>().map(Arc::clone);
    let exchange = exchange.ok_or_else(|| Problem::internal("a route without its frame"))?;
    if let Some(route) = parts.extensions.get::<MatchedPath>() {
        exchange.set_route(route);
    }
    Ok(exchange)
}

/// A call of which nothing matters but that it has come.
pub(crate) struct BareCall;

impl<S: Send + Sync> FromRequestParts<S> for BareCall {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        enter(parts).map(|_| Self)
    }
}

/// A call that concerns one record.
pub(crate) struct RecordCall {
    pub(crate) call: Call,
    pub(crate) id: RecordId,
}

impl RecordCall {
    /// The record's schema and id.
    pub(crate) fn target(&self) -> (&str, RecordId) {
        (&self.call.schema, self.id)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RecordCall {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let call = Call::from_request_parts(parts, state).await?;
        let id = call.id.as_deref().and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| Problem::parameter("id", "the id of a record is a UUID"))?;
        Ok(Self { call, id })
    }
}

/// A call that concerns one job, without parameters.
pub(crate) struct JobCall {
    pub(crate) call: Call,
    pub(crate) id: RecordId,
}

impl<S: Send + Sync> FromRequestParts<S> for JobCall {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let call = Call::from_request_parts(parts, state).await?;
        call.params(&[])?;
        let id = call.id.as_deref().and_then(|id| id.parse().ok());
        // No job has another kind of id.
        let id = id.ok_or(Error::JobNotFound)?;
        Ok(Self { call, id })
    }
}
