//! How large the head of a request may be.

use http::header::HOST;
use http::{Method, Request, Version};

use crate::problem::{Code, Problem};
use crate::state::Settings;

/// Refuses a head that is too large or says two things at once, and the one method that no
/// path can have.
pub(super) fn check<B>(request: &Request<B>, settings: &Settings) -> Result<(), Problem> {
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
    let hosts = headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(Problem::parameter("host", "a request has one Host header").close());
    }
    if request.method() == Method::CONNECT {
        let allow = http::HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        let problem = Problem::new(Code::METHOD_NOT_ALLOWED, "this server is no proxy");
        return Err(problem.allow(allow).close());
    }
    Ok(())
}
