//! What the head of a request may be: not too large, and not of two minds.

use http::header::{CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method, Request, Version};

use crate::problem::{Code, Problem};
use crate::state::Settings;

/// Headers that say what the body is, each of which may therefore come once.
const SINGLE: [HeaderName; 2] = [CONTENT_TYPE, TRANSFER_ENCODING];

/// Refuses a head that is too large or says two things at once, and the one method that no
/// path can have.
pub(super) fn check<B>(request: &Request<B>, settings: &Settings) -> Result<(), Problem> {
    check_size(request, settings)?;
    if request.method() == Method::CONNECT {
        let allow = http::HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        let problem = Problem::new(Code::METHOD_NOT_ALLOWED, "this server is no proxy");
        return Err(problem.allow(allow).close());
    }
    check_host(request)?;
    check_framing(request.headers())
}

fn check_size<B>(request: &Request<B>, settings: &Settings) -> Result<(), Problem> {
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > settings.uri_bytes_max {
        let detail = format!(
            "path and query have at most {} bytes",
            settings.uri_bytes_max
        );
        return Err(Problem::new(Code::URI_TOO_LONG, detail).close());
    }
    let headers = request.headers();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > settings.headers_max || bytes > settings.header_bytes_max {
        let (count, most) = (settings.headers_max, settings.header_bytes_max);
        let detail = format!("a request has at most {count} headers of {most} bytes in all");
        return Err(Problem::new(Code::HEADERS_TOO_LARGE, detail).close());
    }
    Ok(())
}

/// A proxy may route by one name and this server be asked by another, so both must be the
/// same (RFC 9112 §3.2, RFC 9113 §8.3.1).
fn check_host<B>(request: &Request<B>) -> Result<(), Problem> {
    let refuse = |message| Err(Problem::parameter("host", message).close());
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() || (host.is_none() && request.version() == Version::HTTP_11) {
        return refuse("a request has one Host header");
    }
    let Some(host) = host.map(http::HeaderValue::as_bytes) else {
        return Ok(());
    };
    match request.uri().authority() {
        Some(target) if !host.eq_ignore_ascii_case(target.as_str().as_bytes()) => {
            refuse("the Host header is that of the request's target")
        }
        None if !host.is_empty() && !is_authority(host) => {
            refuse("the Host header is a name or an address, with a port or without")
        }
        _ => Ok(()),
    }
}

fn is_authority(host: &[u8]) -> bool {
    !host.contains(&b'@') && Authority::try_from(host).is_ok()
}

/// Two answers to the question where a body ends are how requests are smuggled past a proxy.
fn check_framing(headers: &HeaderMap) -> Result<(), Problem> {
    for name in SINGLE {
        if headers.get_all(&name).iter().nth(1).is_some() {
            let message = format!("a request has one {name} header");
            return Err(Problem::parameter(name.as_str(), message).close());
        }
    }
    let coding = headers
        .get(TRANSFER_ENCODING)
        .map(http::HeaderValue::as_bytes);
    if coding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"chunked")) {
        let message = "the only transfer coding of a request is chunked";
        return Err(Problem::parameter("transfer-encoding", message).close());
    }
    Ok(())
}
