//! Problem documents (RFC 9457): every error code, and what an answer that is no success says.

mod from_app;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

use staffa_app::{Error, Failure, value_json};
use staffa_domain::RecordError;

/// The media type of a problem document.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Every error code with its status and title. Each is told by some answer and has a page in
/// `docs/errors`.
pub const CODES: &[(&str, u16, &str)] = &[
    ("malformed_json", 400, "Malformed JSON"),
    ("invalid_parameter", 400, "Invalid parameter"),
    ("unknown_field", 400, "Unknown field"),
    ("unknown_operator", 400, "Unknown operator"),
    (
        "cursor_mismatch",
        400,
        "The cursor belongs to another question",
    ),
    ("schema_not_found", 404, "Schema not found"),
    ("record_not_found", 404, "Record not found"),
    ("route_not_found", 404, "Route not found"),
    ("job_not_found", 404, "Job not found"),
    ("method_not_allowed", 405, "Method not allowed"),
    ("not_acceptable", 406, "Not acceptable"),
    ("unique_violation", 409, "Unique violation"),
    ("conflict", 409, "Conflict"),
    ("schema_moved", 409, "The schema has changed"),
    (
        "idempotency_in_progress",
        409,
        "A request with this key is in progress",
    ),
    ("too_many_affected", 409, "Too many records affected"),
    ("length_required", 411, "Length required"),
    ("version_mismatch", 412, "The version has moved"),
    ("payload_too_large", 413, "Payload too large"),
    ("uri_too_long", 414, "URI too long"),
    ("unsupported_media_type", 415, "Unsupported media type"),
    ("validation_failed", 422, "Validation failed"),
    (
        "idempotency_mismatch",
        422,
        "The idempotency key belongs to another request",
    ),
    ("unsupported_change", 422, "Unsupported change"),
    ("headers_too_large", 431, "Request headers too large"),
    ("internal", 500, "Internal error"),
    ("overloaded", 503, "Overloaded"),
    ("engine_reopening", 503, "The storage engine is reopening"),
    ("draining", 503, "The server is shutting down"),
    (
        "commit_unknown",
        503,
        "It is unknown whether the write was stored",
    ),
    ("query_timeout", 504, "The query took too long"),
    ("storage_full", 507, "The storage is full"),
];

/// A code of the table: one that is not in it does not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(usize);

impl Code {
    const fn find(name: &str) -> Self {
        let mut at = 0;
        while at < CODES.len() {
            if same(CODES[at].0.as_bytes(), name.as_bytes()) {
                return Self(at);
            }
            at += 1;
        }
        panic!("the table has no such code");
    }

    pub(crate) const fn as_str(self) -> &'static str {
        CODES[self.0].0
    }

    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(CODES[self.0].1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    const fn title(self) -> &'static str {
        CODES[self.0].2
    }

    /// Whether the same request may succeed when sent again. A write whose outcome is not
    /// known may not: it could be stored twice.
    fn is_retryable(self) -> bool {
        [
            Self::CONFLICT,
            Self::SCHEMA_MOVED,
            Self::IDEMPOTENCY_IN_PROGRESS,
            Self::OVERLOADED,
            Self::ENGINE_REOPENING,
            Self::DRAINING,
            Self::QUERY_TIMEOUT,
            Self::STORAGE_FULL,
        ]
        .contains(&self)
    }

    pub(crate) const MALFORMED_JSON: Self = Self::find("malformed_json");
    pub(crate) const INVALID_PARAMETER: Self = Self::find("invalid_parameter");
    pub(crate) const UNKNOWN_FIELD: Self = Self::find("unknown_field");
    pub(crate) const UNKNOWN_OPERATOR: Self = Self::find("unknown_operator");
    pub(crate) const CURSOR_MISMATCH: Self = Self::find("cursor_mismatch");
    pub(crate) const SCHEMA_NOT_FOUND: Self = Self::find("schema_not_found");
    pub(crate) const RECORD_NOT_FOUND: Self = Self::find("record_not_found");
    pub(crate) const ROUTE_NOT_FOUND: Self = Self::find("route_not_found");
    pub(crate) const JOB_NOT_FOUND: Self = Self::find("job_not_found");
    pub(crate) const METHOD_NOT_ALLOWED: Self = Self::find("method_not_allowed");
    pub(crate) const NOT_ACCEPTABLE: Self = Self::find("not_acceptable");
    pub(crate) const UNIQUE_VIOLATION: Self = Self::find("unique_violation");
    pub(crate) const CONFLICT: Self = Self::find("conflict");
    pub(crate) const SCHEMA_MOVED: Self = Self::find("schema_moved");
    pub(crate) const IDEMPOTENCY_IN_PROGRESS: Self = Self::find("idempotency_in_progress");
    pub(crate) const IDEMPOTENCY_MISMATCH: Self = Self::find("idempotency_mismatch");
    pub(crate) const LENGTH_REQUIRED: Self = Self::find("length_required");
    pub(crate) const TOO_MANY_AFFECTED: Self = Self::find("too_many_affected");
    pub(crate) const VERSION_MISMATCH: Self = Self::find("version_mismatch");
    pub(crate) const PAYLOAD_TOO_LARGE: Self = Self::find("payload_too_large");
    pub(crate) const URI_TOO_LONG: Self = Self::find("uri_too_long");
    pub(crate) const UNSUPPORTED_MEDIA_TYPE: Self = Self::find("unsupported_media_type");
    pub(crate) const VALIDATION_FAILED: Self = Self::find("validation_failed");
    pub(crate) const UNSUPPORTED_CHANGE: Self = Self::find("unsupported_change");
    pub(crate) const HEADERS_TOO_LARGE: Self = Self::find("headers_too_large");
    pub(crate) const INTERNAL: Self = Self::find("internal");
    pub(crate) const OVERLOADED: Self = Self::find("overloaded");
    pub(crate) const ENGINE_REOPENING: Self = Self::find("engine_reopening");
    pub(crate) const DRAINING: Self = Self::find("draining");
    pub(crate) const COMMIT_UNKNOWN: Self = Self::find("commit_unknown");
    pub(crate) const QUERY_TIMEOUT: Self = Self::find("query_timeout");
    pub(crate) const STORAGE_FULL: Self = Self::find("storage_full");
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// One cause among the `errors` of a problem or of a bulk report.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cause {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    /// The stored record that is meant, where it is none of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) property: Option<String>,
    pub(crate) pointer: String,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Box<RawValue>>,
}

impl Cause {
    pub(crate) fn new(pointer: String, code: &'static str, message: String) -> Self {
        Self {
            index: None,
            line: None,
            id: None,
            property: None,
            pointer,
            code,
            message,
            value: None,
        }
    }
}

impl From<RecordError> for Cause {
    fn from(error: RecordError) -> Self {
        Self {
            index: Some(error.index),
            line: error.line,
            id: None,
            property: None,
            pointer: error.pointer,
            code: error.code.as_str(),
            message: error.message,
            value: error.value.as_deref().and_then(value_json),
        }
    }
}

/// An answer that is no success. The frame around the routes writes it, as it knows the path
/// and the request's id.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    detail: String,
    causes: Vec<Cause>,
    retryable: bool,
    retry_after_seconds: Option<u32>,
    allow: Option<HeaderValue>,
    close: bool,
    /// What only the log may say.
    fault: Option<String>,
}

#[derive(Serialize)]
struct Wire<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: &'static str,
    errors: &'a [Cause],
    request_id: &'a str,
    retryable: bool,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            detail: detail.into(),
            causes: Vec::new(),
            retryable: code.is_retryable(),
            retry_after_seconds: None,
            allow: None,
            close: false,
            fault: None,
        }))
    }

    /// A parameter that cannot be used as it stands.
    pub(crate) fn parameter(name: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let code = Code::INVALID_PARAMETER;
        let cause = Cause::new(format!("/{}", escape(name)), code.as_str(), message.clone());
        Self::new(code, message).with_causes(vec![cause])
    }

    /// A bug, of which only the log learns more.
    pub(crate) fn internal(fault: impl std::fmt::Display) -> Self {
        let detail = "the server failed; its log tells more under the request id";
        let mut problem = Self::new(Code::INTERNAL, detail);
        problem.0.fault = Some(fault.to_string());
        problem
    }

    /// More work than the server can hold now.
    pub(crate) fn overloaded(detail: &str) -> Self {
        Self::new(Code::OVERLOADED, detail).retry_after(1)
    }

    pub(crate) fn with_causes(mut self, causes: Vec<Cause>) -> Self {
        self.0.causes = causes;
        self
    }

    /// Says where in the body the causes stand; where there are none, that it stands there.
    pub(crate) fn within(mut self, pointer: &str) -> Self {
        let Inner {
            code,
            detail,
            causes,
            ..
        } = &mut *self.0;
        for cause in causes.iter_mut() {
            cause.pointer.insert_str(0, pointer);
            // The place in the list says it already.
            cause.index = None;
        }
        if causes.is_empty() {
            causes.push(Cause::new(
                pointer.to_owned(),
                code.as_str(),
                detail.clone(),
            ));
        }
        self
    }

    /// Says whether the same request may succeed when sent again, where that does not follow
    /// from the code.
    pub(crate) fn retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    pub(crate) fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    pub(crate) fn allow(mut self, methods: HeaderValue) -> Self {
        self.0.allow = Some(methods);
        self
    }

    /// The rest of the body will not be read, so the connection cannot be used again.
    pub(crate) fn close(mut self) -> Self {
        self.0.close = true;
        self
    }

    /// What only the log may say.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.0.fault.as_deref()
    }

    /// The document: what went wrong with the request of this path and this id.
    pub(crate) fn to_json(&self, instance: &str, request_id: &str) -> Vec<u8> {
        let Inner {
            code,
            detail,
            causes,
            retryable,
            ..
        } = &*self.0;
        let wire = Wire {
            r#type: format!("https://staffa.dev/errors/{}", code.as_str()),
            title: code.title(),
            status: code.status().as_u16(),
            detail,
            instance,
            code: code.as_str(),
            errors: causes,
            request_id,
            retryable: *retryable,
        };
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Writes the problem into the response that carries it.
    pub(crate) fn render(&self, response: &mut Response, instance: &str, request_id: &str) {
        *response.body_mut() = Body::from(self.to_json(instance, request_id));
        let headers = response.headers_mut();
        headers.remove(http::header::CONTENT_LENGTH);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.code.status();
        let headers = response.headers_mut();
        if let Some(seconds) = self.0.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = &self.0.allow {
            headers.insert(ALLOW, methods.clone());
        }
        if self.0.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Names what went wrong with a job as the answer to a request would, and keeps to the log what
/// only that may say.
pub fn tell_failure(error: Error) -> Failure {
    let problem = Problem::from(error);
    if let Some(fault) = problem.fault() {
        tracing::error!(fault, "a job failed");
    }
    // The causes of a bulk write are in its error file.
    let told = problem.0.code == Code::UNSUPPORTED_CHANGE && !problem.0.causes.is_empty();
    let errors = told.then(|| serde_json::to_string(&problem.0.causes));
    Failure {
        code: problem.0.code.as_str().to_owned(),
        errors: errors.and_then(Result::ok),
        detail: problem.0.detail,
    }
}

/// A name as a step of a JSON pointer (RFC 6901).
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::{CODES, Code};

    #[test]
    fn codes_are_unique_and_have_an_error_status() {
        for (at, (code, status, title)) in CODES.iter().enumerate() {
            assert_eq!(Code::find(code), Code(at), "{code} is listed twice");
            assert!((400..600).contains(status), "{code}: {status}");
            assert!(!title.is_empty(), "{code}");
        }
    }
}
