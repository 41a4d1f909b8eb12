//! One thing wrong with a file, whoever found it.

use std::fmt::Write as _;

use serde_json::Value as Json;
use staffa_codec::decode::DecodeError;
use staffa_domain::RecordError;

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    index: Option<u64>,
    line: Option<u64>,
    pointer: String,
    code: String,
    message: String,
}

impl Failure {
    /// `file:line: /pointer: message (code)`, as editors jump to.
    pub(super) fn text(&self, file: &str) -> String {
        let mut text = match (self.line, self.index) {
            (Some(line), _) => format!("{file}:{line}: "),
            (None, Some(index)) => format!("{file}: record {index}: "),
            (None, None) => format!("{file}: "),
        };
        if !self.pointer.is_empty() {
            text.push_str(&self.pointer);
            text.push_str(": ");
        }
        text.push_str(&self.message);
        if !self.code.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(text, " ({})", self.code);
        }
        text
    }
}

impl From<&RecordError> for Failure {
    fn from(error: &RecordError) -> Self {
        Self {
            index: Some(error.index),
            line: error.line,
            pointer: error.pointer.clone(),
            code: error.code.to_string(),
            message: error.message.clone(),
        }
    }
}

impl From<&DecodeError> for Failure {
    fn from(error: &DecodeError) -> Self {
        Self {
            index: error.index,
            line: error.line,
            pointer: error.pointer.clone(),
            code: error.code.to_string(),
            message: error.message.clone(),
        }
    }
}

impl From<&Json> for Failure {
    fn from(json: &Json) -> Self {
        let text = |name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default();
        let number = |name: &str| json.get(name).and_then(Json::as_u64);
        Self {
            index: number("index"),
            line: number("line"),
            pointer: text("pointer").to_owned(),
            code: text("code").to_owned(),
            message: text("message").to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[track_caller]
    fn check(json: &serde_json::Value, expected: &str) {
        assert_eq!(Failure::from(json).text("f.csv"), expected);
    }

    #[test]
    fn places() {
        let whole = serde_json::json!({
            "index": 4, "line": 6, "pointer": "/a", "code": "c", "message": "m"
        });
        check(&whole, "f.csv:6: /a: m (c)");
        check(
            &serde_json::json!({"index": 4, "message": "m"}),
            "f.csv: record 4: m",
        );
        check(&serde_json::json!({"message": "m"}), "f.csv: m");
    }
}
