//! The text of a transaction: a list of operations, of which only the outside is read here.
//! What depends on a schema stays text, and so does what points at an earlier result.

mod reference;

use super::array::valid_prefix;
use super::cursor::{Cursor, Fault, unescape};
use super::walk::Walker;
use super::{DecodeError, DecodeErrorCode};
use crate::document::{item, step, suggestion};
use crate::question::QuestionProblem;

pub use reference::{Unresolved, find_member, resolve_references};

/// What one operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Adds a record.
    Create,
    /// Changes some of a record's data.
    Update,
    /// Replaces a record's data.
    Replace,
    /// Adds a record, or replaces the data of the one with its id or key.
    Upsert,
    /// Removes a record.
    Delete,
    /// Changes nothing: fails the transaction unless a condition holds.
    Assert,
}

const VERBS: [(&str, Verb); 6] = [
    ("create", Verb::Create),
    ("update", Verb::Update),
    ("replace", Verb::Replace),
    ("upsert", Verb::Upsert),
    ("delete", Verb::Delete),
    ("assert", Verb::Assert),
];

impl Verb {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        let found = VERBS.iter().find(|(_, verb)| *verb == self);
        found.map_or("", |(word, _)| word)
    }

    /// The members that an operation may have besides `op` and `schema`.
    const fn members(self) -> &'static [&'static str] {
        match self {
            Self::Create => &["data", "as"],
            Self::Update | Self::Replace | Self::Upsert => &["id", "data", "if_match", "as"],
            Self::Delete => &["id", "if_match", "as"],
            Self::Assert => &["id", "if_match", "filters", "exists", "as"],
        }
    }

    /// The members that it must have.
    const fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Create | Self::Upsert => &["data"],
            Self::Update | Self::Replace => &["id", "data"],
            Self::Delete => &["id"],
            Self::Assert => &[],
        }
    }
}

/// One operation as it is written. The texts are JSON values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'a> {
    /// What it does.
    pub verb: Verb,
    /// The name of the schema that it concerns.
    pub schema: String,
    /// The id of the record that it concerns.
    pub id: Option<&'a [u8]>,
    /// The data.
    pub data: Option<&'a [u8]>,
    /// The version that the record must have.
    pub if_match: Option<&'a [u8]>,
    /// The condition.
    pub filters: Option<&'a [u8]>,
    /// Whether a record must match the condition, or none may.
    pub exists: bool,
    /// What later operations call its result.
    pub name: Option<String>,
}

/// Why a transaction cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionProblem {
    /// It is no JSON.
    #[error(transparent)]
    Text(#[from] DecodeError),
    /// It is no transaction.
    #[error(transparent)]
    Form(#[from] QuestionProblem),
}

/// Reads a transaction operation by operation.
#[derive(Debug)]
pub struct TransactionReader<'a> {
    cursor: Cursor<'a>,
    state: State,
    /// How many operations were read.
    count: usize,
    operations_max: usize,
    depth_max: usize,
    walker: Walker,
    scratch: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    First,
    Next,
    Over,
}

const OPERATIONS: &str = "/operations";

impl<'a> TransactionReader<'a> {
    /// Reads `{"operations": […]}` of at most so many operations, whose values may nest so
    /// deep.
    pub fn new(body: &'a [u8], operations_max: usize, depth_max: usize) -> Self {
        Self {
            cursor: Cursor::new(body, 0),
            state: State::Start,
            count: 0,
            operations_max,
            depth_max,
            walker: Walker::default(),
            scratch: Vec::new(),
        }
    }

    /// The next operation; none at the end of the transaction.
    pub fn next_step(&mut self) -> Result<Option<Step<'a>>, TransactionProblem> {
        if self.state == State::Start {
            self.open()?;
        }
        if self.state == State::Over || self.ends_list()? {
            self.state = State::Over;
            return Ok(None);
        }
        if self.count == self.operations_max {
            let message = format!("a transaction has at most {} operations", self.count);
            return Err(QuestionProblem::invalid(OPERATIONS, message).into());
        }
        let pointer = item(OPERATIONS, self.count);
        let read = self.step(&pointer)?;
        self.count += 1;
        self.state = State::Next;
        Ok(Some(read))
    }

    fn open(&mut self) -> Result<(), TransactionProblem> {
        let body = self.cursor.bytes;
        let valid = valid_prefix(body);
        if valid < body.len() {
            self.cursor.at = valid;
            return Err(self.malformed("the text is not UTF-8", "").into());
        }
        self.punctuation(b'{', "expected an object")?;
        self.cursor.skip_space();
        if self.cursor.peek() == Ok(b'}') {
            return Err(QuestionProblem::invalid("", "the key operations is missing").into());
        }
        let key = self.key("")?;
        if key != "operations" {
            let near = suggestion(&key, ["operations"]);
            let message = format!("unknown key {key}; a transaction has operations alone{near}");
            return Err(QuestionProblem::invalid(step("", &key), message).into());
        }
        self.cursor.skip_space();
        match self.cursor.peek() {
            Ok(b'[') => self.cursor.at += 1,
            _ => return Err(QuestionProblem::invalid(OPERATIONS, "expected a list").into()),
        }
        self.state = State::First;
        Ok(())
    }

    /// Reads what stands between operations; true where nothing follows.
    fn ends_list(&mut self) -> Result<bool, TransactionProblem> {
        self.cursor.skip_space();
        let byte = self.cursor.peek().map_err(|f| self.fault(f, OPERATIONS))?;
        match (self.state, byte) {
            (_, b']') => {
                self.cursor.at += 1;
                self.close()?;
                return Ok(true);
            }
            (State::Next, b',') => self.cursor.at += 1,
            (State::Next, _) => {
                let why = "expected a comma or the end of the list";
                return Err(self.malformed(why, OPERATIONS).into());
            }
            _ => {}
        }
        Ok(false)
    }

    fn close(&mut self) -> Result<(), TransactionProblem> {
        self.cursor.skip_space();
        if self.cursor.peek() == Ok(b',') {
            self.cursor.at += 1;
            let key = self.key("")?;
            let message = format!("unknown key {key}; a transaction has operations alone");
            return Err(QuestionProblem::invalid(step("", &key), message).into());
        }
        self.punctuation(b'}', "expected a closing brace")?;
        self.cursor.skip_space();
        if self.cursor.at < self.cursor.bytes.len() {
            let why = "expected nothing after the end";
            return Err(self.malformed(why, "").into());
        }
        Ok(())
    }

    fn step(&mut self, pointer: &str) -> Result<Step<'a>, TransactionProblem> {
        self.cursor.skip_space();
        if self.cursor.peek() != Ok(b'{') {
            return Err(QuestionProblem::invalid(pointer, "expected an object").into());
        }
        self.cursor.at += 1;
        let mut members = Members::default();
        self.cursor.skip_space();
        let mut is_over = self.cursor.peek() == Ok(b'}');
        while !is_over {
            let key = self.key(pointer)?;
            let value = self.value(&step(pointer, &key))?;
            members.put(key, value, pointer)?;
            self.cursor.skip_space();
            match self.cursor.peek().map_err(|f| self.fault(f, pointer))? {
                b',' => self.cursor.at += 1,
                b'}' => is_over = true,
                _ => {
                    let why = "expected a comma or a closing brace";
                    return Err(self.malformed(why, pointer).into());
                }
            }
        }
        self.cursor.at += 1;
        Ok(members.into_step(pointer)?)
    }

    /// Reads a name and its colon.
    fn key(&mut self, pointer: &str) -> Result<String, DecodeError> {
        self.cursor.skip_space();
        if self.cursor.peek() != Ok(b'"') {
            return Err(self.malformed("expected a name in quotes", pointer));
        }
        let text = self.cursor.string().map_err(|f| self.fault(f, pointer))?;
        let mut name = Vec::new();
        unescape(&self.cursor.bytes[text.start..text.end], &mut name);
        self.punctuation(b':', "expected a colon")?;
        Ok(String::from_utf8_lossy(&name).into_owned())
    }

    /// Reads past a value, checking its grammar, and answers its text.
    fn value(&mut self, pointer: &str) -> Result<&'a [u8], DecodeError> {
        self.cursor.skip_space();
        let start = self.cursor.at;
        self.scratch.clear();
        // What is wrong inside is found again by who knows what it should be.
        let walked = self
            .walker
            .walk(&mut self.cursor, &mut self.scratch, self.depth_max);
        walked.map_err(|f| self.fault(f, pointer))?;
        Ok(&self.cursor.bytes[start..self.cursor.at])
    }

    fn punctuation(&mut self, byte: u8, why: &'static str) -> Result<(), DecodeError> {
        self.cursor.skip_space();
        let expected = self.cursor.expect(byte, why);
        expected.map_err(|fault| self.fault(fault, ""))
    }

    fn malformed(&self, why: &str, pointer: &str) -> DecodeError {
        let error = DecodeError::new(DecodeErrorCode::MalformedJson, why);
        error.at(pointer).at_byte(self.cursor.at as u64)
    }

    fn fault(&self, fault: Fault, pointer: &str) -> DecodeError {
        let error = self.malformed(fault.why(), pointer);
        error.at_byte(fault.at as u64)
    }
}

/// The members of an operation as they come.
#[derive(Default)]
struct Members<'a>(Vec<(String, &'a [u8])>);

const MEMBERS: [&str; 8] = [
    "op", "schema", "id", "data", "if_match", "filters", "exists", "as",
];

impl<'a> Members<'a> {
    fn put(&mut self, key: String, value: &'a [u8], at: &str) -> Result<(), QuestionProblem> {
        if !MEMBERS.contains(&key.as_str()) {
            let near = suggestion(&key, MEMBERS);
            let message = format!("an operation has no {key}{near}");
            return Err(QuestionProblem::invalid(step(at, &key), message));
        }
        if self.0.iter().any(|(known, _)| *known == key) {
            let message = format!("{key} appears twice");
            return Err(QuestionProblem::invalid(step(at, &key), message));
        }
        self.0.push((key, value));
        Ok(())
    }

    /// The text of a member; null counts as absent.
    fn get(&self, key: &str) -> Option<&'a [u8]> {
        let found = self.0.iter().find(|(known, _)| known == key);
        found.map(|(_, text)| *text).filter(|text| *text != b"null")
    }

    fn text(&self, key: &str, at: &str) -> Result<Option<String>, QuestionProblem> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        let read = read_text(text);
        let problem = || QuestionProblem::invalid(step(at, key), "expected a text");
        read.map(Some).ok_or_else(problem)
    }

    fn into_step(self, at: &str) -> Result<Step<'a>, QuestionProblem> {
        let missing = |key: &str| QuestionProblem::invalid(at, format!("the key {key} is missing"));
        let word = self.text("op", at)?.ok_or_else(|| missing("op"))?;
        let verb = VERBS.iter().find(|(known, _)| *known == word);
        let (_, verb) = *verb.ok_or_else(|| {
            let words = VERBS.map(|(word, _)| word);
            let message = format!(
                "op is one of {}{}",
                words.join(", "),
                suggestion(&word, words)
            );
            QuestionProblem::invalid(step(at, "op"), message)
        })?;
        let schema = self.text("schema", at)?;
        let schema = schema.ok_or_else(|| missing("schema"))?;
        for (key, _) in &self.0 {
            let is_common = ["op", "schema"].contains(&key.as_str());
            if !is_common && !verb.members().contains(&key.as_str()) && self.get(key).is_some() {
                let message = format!("{key} means nothing for {word}");
                return Err(QuestionProblem::invalid(step(at, key), message));
            }
        }
        if let Some(key) = verb.needs().iter().find(|key| self.get(key).is_none()) {
            return Err(missing(key));
        }
        let exists = match self.get("exists") {
            None | Some(b"true") => true,
            Some(b"false") => false,
            Some(_) => {
                let message = "expected true or false";
                return Err(QuestionProblem::invalid(step(at, "exists"), message));
            }
        };
        Ok(Step {
            verb,
            schema,
            id: self.get("id"),
            data: self.get("data"),
            if_match: self.get("if_match"),
            filters: self.get("filters"),
            exists,
            name: self.text("as", at)?,
        })
    }
}

/// The text that a JSON value is, if it is one.
pub fn read_text(value: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(value, 0);
    if cursor.peek() != Ok(b'"') {
        return None;
    }
    let text = cursor.string().ok()?;
    let mut out = Vec::new();
    unescape(&value[text.start..text.end], &mut out);
    String::from_utf8(out).ok()
}
