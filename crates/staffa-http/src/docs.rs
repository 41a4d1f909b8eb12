//! `/docs`: a page to browse the API and try it, made of three embedded files and nothing from
//! elsewhere.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use crate::from_wire::BareCall;

const PAGE: &str = include_str!("../assets/docs.html");
const SCRIPT: &str = include_str!("../assets/app.js");
const STYLE: &str = include_str!("../assets/style.css");
/// The page may load its own files and call this server, nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

pub(crate) async fn show_docs(_: BareCall) -> Response {
    file("text/html; charset=utf-8", PAGE)
}

pub(crate) async fn show_docs_script(_: BareCall) -> Response {
    file("text/javascript; charset=utf-8", SCRIPT)
}

pub(crate) async fn show_docs_style(_: BareCall) -> Response {
    file("text/css; charset=utf-8", STYLE)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
