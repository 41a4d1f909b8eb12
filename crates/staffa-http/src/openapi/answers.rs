//! The answers of operations: what succeeds, and every status that a problem may have.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::problem::CODES;

/// Statuses that any route may answer with.
const EVERYWHERE: [u16; 11] = [400, 404, 405, 406, 413, 414, 431, 500, 503, 504, 507];
/// Those that only a body can cause.
pub(super) const OF_A_BODY: [u16; 3] = [411, 415, 422];

/// The responses of an operation: those given, and the problems of every route and of `more`.
pub(super) fn answers(good: Vec<(u16, Json)>, more: &[u16]) -> Json {
    let mut all: BTreeMap<u16, Json> = BTreeMap::new();
    for status in EVERYWHERE.iter().chain(more) {
        let target = format!("#/components/responses/problem_{status}");
        all.insert(*status, json!({"$ref": target}));
    }
    // A bulk write answers 422 with a report or with a problem.
    for (status, answer) in good {
        all.insert(status, answer);
    }
    let all: Map<String, Json> = all
        .into_iter()
        .map(|(status, answer)| (status.to_string(), answer))
        .collect();
    Json::Object(all)
}

/// An answer of one media type.
pub(super) fn of_type(description: &str, kind: &str, schema: Json) -> Json {
    let mut content = Map::new();
    content.insert(kind.to_owned(), json!({"schema": schema}));
    json!({"description": description, "headers": headers(), "content": content})
}

/// A JSON answer.
pub(super) fn of_json(description: &str, schema: Json) -> Json {
    of_type(description, "application/json", schema)
}

/// A JSON answer that carries a record's entity tag, and its place where it is new.
pub(super) fn of_record(description: &str, schema: Json, is_new: bool) -> Json {
    let mut answer = of_json(description, schema);
    answer["headers"]["ETag"] = text_header("The record's version, in quotes");
    if is_new {
        answer["headers"]["Location"] = text_header("Where the record is");
    }
    answer
}

/// An answer without a body.
pub(super) fn empty(description: &str) -> Json {
    json!({"description": description, "headers": headers()})
}

fn headers() -> Json {
    json!({
        "X-Request-Id": text_header("The id of the request, as in the log"),
        "Server-Timing": text_header("Milliseconds of each stage"),
    })
}

pub(super) fn text_header(description: &str) -> Json {
    json!({"description": description, "schema": {"type": "string"}})
}

/// One response component a status, which names the codes that it may have.
pub(super) fn components() -> Json {
    let mut of_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for (code, status, _) in CODES {
        of_status.entry(*status).or_default().push(code);
    }
    let all: Map<String, Json> = of_status
        .into_iter()
        .map(|(status, codes)| {
            let description = format!("A problem: {}", codes.join(", "));
            let schema = json!({"$ref": "#/components/schemas/problem"});
            let mut answer = of_type(&description, "application/problem+json", schema);
            if status == 405 {
                answer["headers"]["Allow"] = text_header("The methods of the path");
            }
            if status == 503 {
                answer["headers"]["Retry-After"] =
                    json!({"description": "Seconds to wait", "schema": {"type": "integer"}});
            }
            (format!("problem_{status}"), answer)
        })
        .collect();
    Json::Object(all)
}
