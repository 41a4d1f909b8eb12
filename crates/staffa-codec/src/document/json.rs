//! Strict JSON text to a tree: no duplicate names, numbers as written, bounded depth.

use super::node::{DEPTH_MAX, Entry, Kind, Mark, Node};

/// Why a text is no JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonProblem {
    pub(crate) mark: Mark,
    pub(crate) message: String,
    /// Whether it is JSON all the same, of which an object has two members of one name.
    pub(crate) is_name_twice: bool,
}

/// Reads one JSON value and nothing after it.
pub(crate) fn read_json(text: &str) -> Result<Node, JsonProblem> {
    let mut reader = Reader { text, at: 0 };
    let node = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.problem("expected the end of the text"));
    }
    Ok(node)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn mark(&self) -> Mark {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Mark {
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn problem(&self, message: impl Into<String>) -> JsonProblem {
        JsonProblem {
            mark: self.mark(),
            message: message.into(),
            is_name_twice: false,
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Node, JsonProblem> {
        if depth > DEPTH_MAX {
            return Err(self.problem(format!("nested deeper than {DEPTH_MAX}")));
        }
        self.skip_space();
        let kind = match self.peek() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Kind::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Kind::Boolean(true))?,
            Some(b'f') => self.word("false", Kind::Boolean(false))?,
            Some(b'n') => self.word("null", Kind::Null)?,
            Some(_) => return Err(self.problem("expected a JSON value")),
            None => return Err(self.problem("the text ends where a value should stand")),
        };
        Ok(Node::new(kind, None))
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<Kind, JsonProblem> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.problem("expected a JSON value"));
        }
        self.at += word.len();
        Ok(kind)
    }

    fn number(&mut self) -> Result<Kind, JsonProblem> {
        let rest = &self.text[self.at..];
        let part = |b: u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let len = rest.bytes().position(|b| !part(b)).unwrap_or(rest.len());
        let digits = &rest[..len];
        if !is_number(digits) {
            return Err(self.problem("a number is not written as JSON has it"));
        }
        self.at += len;
        Ok(Kind::Number(digits.to_owned()))
    }

    fn string(&mut self) -> Result<String, JsonProblem> {
        let rest = &self.text.as_bytes()[self.at..];
        let mut end = 1;
        loop {
            match rest.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
                None => return Err(self.problem("a text has no closing quote")),
            }
        }
        let quoted = &self.text[self.at..=self.at + end];
        let text = serde_json::from_str(quoted)
            .map_err(|_| self.problem("a text has a bad escape or a bare control character"))?;
        self.at += end + 1;
        Ok(text)
    }

    fn list(&mut self, depth: usize) -> Result<Kind, JsonProblem> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(Kind::List(items));
            }
            if !self.eat(b',') {
                return Err(self.problem("expected , or ]"));
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, JsonProblem> {
        self.at += 1;
        let mut entries: Vec<Entry> = Vec::new();
        let mut names = std::collections::HashSet::new();
        self.skip_space();
        if self.eat(b'}') {
            return Ok(Kind::Map(entries));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.problem("expected a name in double quotes"));
            }
            let key = self.string()?;
            if !names.insert(key.clone()) {
                let message = format!("the name {key:?} stands twice in one object");
                return Err(JsonProblem {
                    is_name_twice: true,
                    ..self.problem(message)
                });
            }
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.problem("expected :"));
            }
            let value = self.value(depth + 1)?;
            entries.push(Entry {
                key,
                mark: None,
                value,
            });
            self.skip_space();
            if self.eat(b'}') {
                return Ok(Kind::Map(entries));
            }
            if !self.eat(b',') {
                return Err(self.problem("expected , or }"));
            }
        }
    }
}

/// Whether a text is a number by the grammar of RFC 8259.
pub(super) fn is_number(text: &str) -> bool {
    let digits = |text: &str| -> usize { text.bytes().take_while(u8::is_ascii_digit).count() };
    let rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = &fraction[len..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let len = digits(exponent);
        return len > 0 && len == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::{is_number, read_json};

    #[test]
    fn reads_what_serde_json_reads_and_keeps_numbers() {
        let text = r#" {"a": [1, -2.50e3, true, null, "x\u00e9\n"], "b": {}, "c": 12345678901234567890123} "#;
        let node = read_json(text).unwrap();
        let expected = r#"{"a":[1,-2.50e3,true,null,"xé\n"],"b":{},"c":12345678901234567890123}"#;
        assert_eq!(node.to_json(), expected);
    }

    #[test]
    fn refuses_what_is_no_json_with_its_place() {
        let place = |text: &str| {
            let problem = read_json(text).unwrap_err();
            (problem.mark.line, problem.mark.column)
        };
        assert_eq!(place(""), (1, 1));
        assert_eq!(place("{\n \"a\": 01}"), (2, 7));
        assert_eq!(place("[1,]"), (1, 4));
        assert_eq!(place("{\"a\":1,\"a\":2}"), (1, 11));
        assert_eq!(place("\"a"), (1, 1));
        assert_eq!(place("\"a\\"), (1, 1));
        assert_eq!(place("[1] 2"), (1, 5));
        assert_eq!(place("nul"), (1, 1));
        assert_eq!(place("{a:1}"), (1, 2));
        assert!(read_json(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn knows_numbers() {
        for good in ["0", "-0", "10.5", "1e5", "1E-05", "-1.0e+9"] {
            assert!(is_number(good), "{good}");
        }
        for bad in [
            "", "-", "01", "1.", ".5", "1e", "+1", "1.5.2", "1e5.2", "0x10",
        ] {
            assert!(!is_number(bad), "{bad}");
        }
    }
}
