//! YAML text to a tree: the 1.2 core schema without anchors, tags and merge keys.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use staffa_domain::schema::SchemaProblem;

use super::json::is_number;
use super::node::{DEPTH_MAX, Entry, Kind, Mark, Node, item, step};
use super::read::DocumentError;

/// Reads one document; all that is refused in it comes at once, unless its syntax is broken.
pub(super) fn read_yaml(text: &str) -> Result<Node, DocumentError> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        problems: Vec::new(),
    };
    let outcome = reader.document();
    match outcome {
        Ok(node) if reader.problems.is_empty() => Ok(node),
        Ok(_) | Err(Stop::Refused) => Err(DocumentError::Invalid(reader.problems)),
        Err(Stop::Syntax(error)) => Err(DocumentError::Malformed(syntax_problem(text, &error))),
    }
}

/// Why reading can't go on.
enum Stop {
    /// A problem that is noted already.
    Refused,
    /// The scanner's own.
    Syntax(ScanError),
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::Syntax(error)
    }
}

fn syntax_problem(text: &str, error: &ScanError) -> SchemaProblem {
    for (index, line) in text.lines().enumerate() {
        let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        if let Some(at) = indent.find('\t')
            && indent.len() < line.len()
        {
            let place = Mark {
                line: index + 1,
                column: at + 1,
            };
            let message = format!("a tab can't indent in YAML, use spaces (at {place})");
            return SchemaProblem::new("", message);
        }
    }
    let place = mark(*error.marker());
    let message = if error.info().contains("recursion limit") {
        // The scanner reads ahead, so on one line its own limit comes before ours.
        format!("nested deeper than {DEPTH_MAX} (at {place})")
    } else {
        format!("{} (at {place})", error.info())
    };
    SchemaProblem::new("", message)
}

fn mark(marker: saphyr_parser::Marker) -> Mark {
    Mark {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    problems: Vec<SchemaProblem>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Mark), ScanError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, start(span))),
            Some(Err(error)) => Err(error),
            None => Ok((Event::StreamEnd, Mark { line: 1, column: 1 })),
        }
    }

    fn refuse(&mut self, pointer: &str, place: Mark, message: &str) {
        let message = format!("{message} (at {place})");
        self.problems.push(SchemaProblem::new(pointer, message));
    }

    fn document(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) if root.is_some() => {
                    self.refuse("", place, "one file holds one schema");
                    return Err(Stop::Refused);
                }
                Event::DocumentStart(_) => {}
                event => root = Some(self.node(event, place, "", 0)?),
            }
        }
        Ok(root.unwrap_or(Node::new(Kind::Null, None)))
    }

    fn node(
        &mut self,
        event: Event<'a>,
        place: Mark,
        pointer: &str,
        depth: usize,
    ) -> Result<Node, Stop> {
        if depth > DEPTH_MAX {
            self.refuse(pointer, place, &format!("nested deeper than {DEPTH_MAX}"));
            return Err(Stop::Refused);
        }
        let (anchored, tagged) = marks_of(&event);
        if anchored {
            self.refuse(
                pointer,
                place,
                "anchors (&) are not supported: write the value out",
            );
        }
        if tagged {
            self.refuse(
                pointer,
                place,
                "tags (!) are not supported: leave the tag out",
            );
        }
        let kind = match event {
            Event::Scalar(text, ScalarStyle::Plain, _, _) => plain(&text),
            Event::Scalar(text, _, _, _) => Kind::Text(text.into_owned()),
            Event::SequenceStart(..) => self.list(pointer, depth)?,
            Event::MappingStart(..) => self.map(pointer, depth)?,
            Event::Alias(_) => {
                self.refuse(
                    pointer,
                    place,
                    "aliases (*) are not supported: write the value out",
                );
                Kind::Null
            }
            _ => Kind::Null,
        };
        Ok(Node::new(kind, Some(place)))
    }

    fn list(&mut self, pointer: &str, depth: usize) -> Result<Kind, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Kind::List(items));
            }
            let here = item(pointer, items.len());
            items.push(self.node(event, place, &here, depth + 1)?);
        }
    }

    fn map(&mut self, pointer: &str, depth: usize) -> Result<Kind, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut names = HashSet::new();
        loop {
            let (event, place) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Kind::Map(entries));
            }
            let key = self.key(event, place, pointer)?;
            let here = step(pointer, &key);
            if !names.insert(key.clone()) {
                self.refuse(&here, place, &format!("the key {key} stands twice"));
            }
            let (event, value_place) = self.next()?;
            let value = self.node(event, value_place, &here, depth + 1)?;
            entries.push(Entry {
                key,
                mark: Some(place),
                value,
            });
        }
    }

    fn key(&mut self, event: Event<'a>, place: Mark, pointer: &str) -> Result<String, Stop> {
        let (anchored, tagged) = marks_of(&event);
        if anchored || tagged {
            self.refuse(pointer, place, "a key can't have an anchor or a tag");
        }
        match event {
            Event::Scalar(text, style, _, _) => {
                if text == "<<" && style == ScalarStyle::Plain {
                    self.refuse(
                        pointer,
                        place,
                        "merge keys (<<) are not supported: write them out",
                    );
                }
                Ok(text.into_owned())
            }
            _ => {
                self.refuse(pointer, place, "a key must be a word");
                Err(Stop::Refused)
            }
        }
    }
}

fn start(span: Span) -> Mark {
    mark(span.start)
}

/// Whether a node has an anchor, and whether it has a tag.
fn marks_of(event: &Event<'_>) -> (bool, bool) {
    match event {
        Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(anchor, tag)
        | Event::MappingStart(anchor, tag) => (*anchor != 0, tag.is_some()),
        _ => (false, false),
    }
}

/// What an unquoted scalar is by the core schema of YAML 1.2.2, section 10.3.2.
fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Boolean(true),
        "false" | "False" | "FALSE" => Kind::Boolean(false),
        _ => match number(text) {
            Some(number) => Kind::Number(number),
            None => Kind::Text(text.to_owned()),
        },
    }
}

/// A core schema number as a JSON number; infinities and NaN are left as texts.
fn number(text: &str) -> Option<String> {
    let based = |digits: &str, radix| u64::from_str_radix(digits, radix).ok();
    if let Some(digits) = text.strip_prefix("0x") {
        return based(digits, 16).map(|value| value.to_string());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return based(digits, 8).map(|value| value.to_string());
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let exponent_at = rest.find(['e', 'E']).unwrap_or(rest.len());
    let (mantissa, exponent) = rest.split_at(exponent_at);
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    if whole.is_empty() && fraction.is_none_or(str::is_empty) {
        return None;
    }
    let trimmed = whole.trim_start_matches('0');
    let whole = if trimmed.is_empty() { "0" } else { trimmed };
    let fraction = match fraction {
        None => String::new(),
        Some("") => ".0".to_owned(),
        Some(digits) => format!(".{digits}"),
    };
    let out = format!("{sign}{whole}{fraction}{exponent}");
    is_number(&out).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::{number, read_yaml};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(read_yaml(text).unwrap().to_json(), expected);
    }

    #[track_caller]
    fn refused(text: &str, part: &str) {
        let problems = read_yaml(text).unwrap_err().into_problems();
        let all = problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        assert!(all.contains(part), "{all}");
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        check(
            "[a, 1, 1.5, true, yes, no, ~, null, '1', 2013-01-01]",
            r#"["a",1,1.5,true,"yes","no",null,null,"1","2013-01-01"]"#,
        );
        check(
            "{a: , b: 0x1F, c: 0o17, d: +5, e: 007, f: .5, g: 5., h: 1e3, i: .inf}",
            r#"{"a":null,"b":31,"c":15,"d":5,"e":7,"f":0.5,"g":5.0,"h":1e3,"i":".inf"}"#,
        );
        check(
            "a: |\n  one\n  two\nb: >\n  x\n  y\n",
            r#"{"a":"one\ntwo\n","b":"x y\n"}"#,
        );
        check("", "null");
        check("# nothing\n---\na: 1\n...\n", r#"{"a":1}"#);
    }

    #[test]
    fn numbers_become_json_numbers() {
        assert_eq!(
            number("12345678901234567890.10").as_deref(),
            Some("12345678901234567890.10")
        );
        for text in [
            "", "-", ".", "1x", "e5", "1_000", "0xZZ", "1:30", "-.", "--1",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_with_its_place() {
        refused("a: &x 1\nb: *x\n", "anchors");
        refused("a: &x 1\nb: *x\n", "2:4");
        refused("a: !!str 1\n", "tags");
        refused("a: {<<: {b: 1}}\n", "merge");
        refused("a: 1\na: 2\n", "twice");
        refused("a: 1\n---\nb: 2\n", "one file");
        refused("a:\n\tb: 1\n", "tab");
        refused("a: [1, 2\n", "at ");
        refused("{[1]: 2}\n", "key must be a word");
        refused(&"[".repeat(1_000), "nested deeper");
    }
}
