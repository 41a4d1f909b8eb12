//! Scenarios: requests and the answers to them, the same bytes on every engine. They are the
//! files of `tests/scenarios`; whoever plays them brings the server.

mod file;
mod template;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value as Json, json};

pub use file::{Expected, Problem, Scenario, Step};

use template::Known;

/// A request as it goes to a server.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Empty where there is none.
    pub body: Vec<u8>,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// What no target may hold, so that scenarios need not spell it as escapes.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Headers that say something of the run and nothing of the answer.
const OF_THE_RUN: [&str; 5] = [
    "connection",
    "content-length",
    "date",
    "server-timing",
    "x-request-id",
];

impl Answer {
    /// The value of a header, given in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as a text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Plays the steps of a scenario in their order and answers what came of each: status, headers
/// and body, with ids, times and the like replaced by what the scenario calls them. Two engines
/// are alike where these texts are equal.
///
/// # Errors
/// At the first answer that is not as it is written, which ends the scenario: which step it was,
/// and where the answer departs.
pub fn play(
    scenario: &Scenario,
    mut send: impl FnMut(Request) -> Answer,
) -> Result<Vec<String>, String> {
    let mut known = Known::new();
    let play = |step: &Step| {
        let answer = send(request(step, &known));
        check(step, &answer, &mut known).map_err(|why| {
            let (name, asked) = (&scenario.name, &step.request);
            format!("{name}, {}: {asked}\n{why}\n{}", step.name, answer.text())
        })
    };
    scenario.steps.iter().map(play).collect()
}

/// The request of a step, with what earlier answers held.
fn request(step: &Step, known: &Known) -> Request {
    let fill = |text: &str| template::fill(text, known);
    let (method, target) = step.request.split_once(' ').unwrap_or((&step.request, "/"));
    let mut headers: Vec<_> = step
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), fill(value)))
        .collect();
    let body = match (&step.body, &step.file) {
        (Some(body), _) => fill(&wire(body)).into_bytes(),
        (None, Some(file)) => file::read(file),
        (None, None) => Vec::new(),
    };
    let is_json = step.body.as_ref().is_some_and(|body| !body.is_string());
    if is_json && !step.headers.contains_key("content-type") {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    Request {
        method: method.to_owned(),
        target: utf8_percent_encode(&fill(target), ESCAPED).to_string(),
        headers,
        body,
    }
}

/// A body as it stands on the wire: a text as it is, all else as JSON without spaces.
fn wire(body: &Json) -> String {
    match body {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn check(step: &Step, answer: &Answer, known: &mut Known) -> Result<String, String> {
    let expected = &step.answer;
    if answer.status != expected.status {
        let (status, found) = (expected.status, answer.status);
        return Err(format!("the status is {found} and not {status}"));
    }
    let kind = answer.header("content-type").unwrap_or_default();
    if expected.problem.is_some() && kind != "application/problem+json" {
        return Err(format!("the content type is {kind:?}"));
    }
    let headers = check_headers(expected, answer, known)?;
    let body = match (&expected.body, &expected.problem) {
        // Durations are numbers, which have no quotes.
        (Some(body), _) => Some(wire(body).replace("\"<ms>\"", "<ms>")),
        (None, Some(problem)) => Some(document(step, problem)),
        (None, None) => None,
    };
    let body = match body {
        Some(body) => template::redact(&body, &answer.text(), known)?,
        None => template::blur(&answer.text()),
    };
    Ok(format!("{}\n{headers}\n{body}", answer.status))
}

fn check_headers(
    expected: &Expected,
    answer: &Answer,
    known: &mut Known,
) -> Result<String, String> {
    let mut lines: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !expected.headers.contains_key(name))
        .filter(|(name, _)| !OF_THE_RUN.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}\n", template::blur(value)))
        .collect();
    for (name, value) in &expected.headers {
        match (value, answer.header(name)) {
            (None, None) => {}
            (Some(value), Some(found)) => {
                let shown = template::redact(value, found, known);
                let shown = shown.map_err(|why| format!("the header {name}:\n{why}"))?;
                lines.push(format!("{name}: {shown}\n"));
            }
            (None, Some(found)) => return Err(format!("there is a header {name}: {found}")),
            (Some(_), None) => return Err(format!("there is no header {name}")),
        }
    }
    lines.sort_unstable();
    Ok(lines.concat())
}

/// A problem document as the wire has it.
fn document(step: &Step, problem: &Problem) -> String {
    let target = step
        .request
        .split_once(' ')
        .map_or("", |(_, target)| target);
    let code = &problem.code;
    let mut document = json!({
        "type": format!("https://staffa.dev/errors/{code}"),
        "title": problem.title,
        "status": step.answer.status,
        "detail": problem.detail,
        "instance": target.split('?').next(),
        "code": code,
        "errors": problem.errors.clone().unwrap_or_else(|| json!([])),
    });
    document["request_id"] = "<id>".into();
    document["retryable"] = problem.retryable.into();
    document.to_string()
}
