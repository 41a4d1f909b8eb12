//! Requests with conditions, and what an answer says beside its text.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value as Json;

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

/// Asks for a path with a JSON body, or none, on the condition of a version, or none. Answers
/// nothing where the server went away before its answer.
pub(crate) fn ask(
    address: &str,
    (method, path): (&str, &str),
    if_match: Option<&str>,
    body: &str,
) -> Option<Reply> {
    // HTTP/1.0, so that the end of the connection is the end of the answer.
    let mut request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n");
    if let Some(version) = if_match {
        request.push_str(&format!("If-Match: {version}\r\n"));
    }
    if !body.is_empty() {
        let length = body.len();
        request.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {length}\r\n"
        ));
    }
    request.push_str("\r\n");
    request.push_str(body);
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let etag = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("etag").then(|| value.to_owned())
    });
    Some(Reply {
        status: head.split(' ').nth(1)?.parse().ok()?,
        etag,
        body: body.to_owned(),
    })
}
