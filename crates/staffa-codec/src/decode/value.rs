//! One JSON value into one column.

use staffa_domain::error::RecordErrorCode;

use super::column::{Column, Values};
use super::cursor::{Cursor, Fault, Text};
use super::walk::Walker;
use crate::text::parse::{self, ParseProblem};

/// Why a value was not appended.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The text is not JSON.
    Fault(Fault),
    /// It is, but does not fit the property. The cursor may stand anywhere in it.
    Problem(ParseProblem),
    /// As before, but deeper within: where and why, several times. The cursor is behind it.
    Inner(Vec<Inner>),
}

/// What is wrong with one part of a value.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) pointer: String,
    pub(super) code: RecordErrorCode,
    pub(super) message: String,
    pub(super) value: Vec<u8>,
}

impl From<Fault> for Trouble {
    #[inline]
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ParseProblem> for Trouble {
    #[cold]
    fn from(problem: ParseProblem) -> Self {
        Self::Problem(problem)
    }
}

/// What reading values needs besides the text: memory, kept from one to the next.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) scratch: Vec<u8>,
    pub(super) walker: Walker,
    /// How deep a property's value may nest.
    pub(super) depth_max: usize,
}

impl Tools {
    pub(super) fn new(depth_max: usize) -> Self {
        Self {
            scratch: Vec::new(),
            walker: Walker::default(),
            // The record itself is one level.
            depth_max: depth_max.saturating_sub(1),
        }
    }

    /// Reads past a value, checking its grammar.
    #[cold]
    pub(super) fn skip(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        self.scratch.clear();
        self.walker
            .walk(cursor, &mut self.scratch, self.depth_max)?;
        Ok(())
    }
}

/// Reads the value at the cursor and appends it, or appends nothing.
#[inline]
pub(super) fn read_value(
    cursor: &mut Cursor<'_>,
    column: &mut Column,
    tools: &mut Tools,
) -> Result<(), Trouble> {
    if cursor.peek()? == b'n' {
        cursor.literal(b"null")?;
        column.push_null();
        return Ok(());
    }
    match &mut column.values {
        Values::Object(_) => read_object(cursor, column, tools),
        Values::List(..) => read_list(cursor, column, tools),
        values => {
            read_scalar(cursor, values, tools)?;
            column.count_value();
            Ok(())
        }
    }
}

/// Reads a scalar that is not null and appends it to the values alone.
#[inline]
fn read_scalar(
    cursor: &mut Cursor<'_>,
    values: &mut Values,
    tools: &mut Tools,
) -> Result<(), Trouble> {
    let scratch = &mut tools.scratch;
    match values {
        Values::Text(texts) => {
            let text = string(cursor, "must be a string")?;
            let raw = &cursor.bytes[text.start..text.end];
            if text.is_escaped {
                super::cursor::unescape(raw, &mut texts.bytes);
            } else {
                texts.bytes.extend_from_slice(raw);
            }
            texts.end();
        }
        Values::Integer(values) => {
            let start = number_start(cursor, "must be an integer")?;
            let number = cursor.number()?;
            values.push(number.to_integer(&cursor.bytes[start..cursor.at])?);
        }
        Values::Number(values) => {
            let start = number_start(cursor, "must be a number")?;
            let number = cursor.number()?;
            values.push(number.to_double(&cursor.bytes[start..cursor.at])?);
        }
        Values::Decimal(values, size) => {
            let size = *size;
            if cursor.peek()? == b'"' {
                let text = string(cursor, "")?;
                values.push(parse::parse_decimal(cursor.text(text, scratch), size)?);
            } else {
                let start = number_start(cursor, "must be a decimal number, as a string")?;
                let number = cursor.number()?;
                values.push(number.to_decimal(&cursor.bytes[start..cursor.at], size)?);
            }
        }
        Values::Boolean(values) => values.append(read_boolean(cursor)?),
        Values::Date(values) => {
            let text = string(cursor, "must be a date such as \"2013-01-31\"")?;
            values.push(parse::parse_date(cursor.text(text, scratch))?);
        }
        Values::Datetime(values) => {
            let text = string(cursor, "must be a moment such as \"2013-01-31T10:00:00Z\"")?;
            values.push(parse::parse_datetime(cursor.text(text, scratch))?.as_micros());
        }
        Values::Uuid(values) => {
            let text = string(cursor, "must be a uuid, as a string")?;
            values.push(*parse::parse_uuid(cursor.text(text, scratch))?.as_bytes());
        }
        Values::Object(_) | Values::List(..) => {
            return Err(ParseProblem::mismatch("must be a scalar").into());
        }
    }
    Ok(())
}

#[inline]
fn string(cursor: &mut Cursor<'_>, or: &'static str) -> Result<Text, Trouble> {
    if cursor.peek()? != b'"' {
        return Err(ParseProblem::mismatch(or).into());
    }
    let text = cursor.string()?;
    match text.flaw {
        None => Ok(text),
        Some(flaw) => Err(ParseProblem::mismatch(flaw.why()).into()),
    }
}

#[inline]
fn number_start(cursor: &Cursor<'_>, or: &'static str) -> Result<usize, Trouble> {
    match cursor.peek()? {
        b'-' | b'0'..=b'9' => Ok(cursor.at),
        _ => Err(ParseProblem::mismatch(or).into()),
    }
}

fn read_boolean(cursor: &mut Cursor<'_>) -> Result<bool, Trouble> {
    match cursor.peek()? {
        b't' => cursor
            .literal(b"true")
            .map(|()| true)
            .map_err(Trouble::from),
        b'f' => cursor
            .literal(b"false")
            .map(|()| false)
            .map_err(Trouble::from),
        _ => Err(ParseProblem::mismatch("must be true or false").into()),
    }
}

fn read_object(
    cursor: &mut Cursor<'_>,
    column: &mut Column,
    tools: &mut Tools,
) -> Result<(), Trouble> {
    if cursor.peek()? != b'{' {
        return Err(ParseProblem::mismatch("must be an object").into());
    }
    let start = cursor.at;
    let Values::Object(texts) = &mut column.values else {
        return Err(ParseProblem::mismatch("must not be an object").into());
    };
    if let Some(flaw) = tools
        .walker
        .walk(cursor, &mut texts.bytes, tools.depth_max)?
    {
        texts.undo();
        return Err(Trouble::Inner(vec![Inner {
            pointer: flaw.pointer,
            code: flaw.code,
            message: flaw.message,
            value: cursor.bytes[start..cursor.at].to_vec(),
        }]));
    }
    texts.end();
    column.count_value();
    Ok(())
}

fn read_list(
    cursor: &mut Cursor<'_>,
    column: &mut Column,
    tools: &mut Tools,
) -> Result<(), Trouble> {
    if cursor.peek()? != b'[' {
        let message = format!("must be an {}", column.property_type());
        return Err(ParseProblem::mismatch(message).into());
    }
    let len = column.len();
    let Values::List(_, items) = &mut column.values else {
        return Err(ParseProblem::mismatch("must not be an array").into());
    };
    let wrong = read_items(cursor, items, tools)?;
    if wrong.is_empty() {
        column.end_list();
        return Ok(());
    }
    column.truncate(len);
    Err(Trouble::Inner(wrong))
}

fn read_items(
    cursor: &mut Cursor<'_>,
    items: &mut Column,
    tools: &mut Tools,
) -> Result<Vec<Inner>, Fault> {
    const WRONG_MAX: usize = 100;
    let mut wrong = Vec::new();
    cursor.at += 1;
    cursor.skip_space();
    if cursor.peek()? == b']' {
        cursor.at += 1;
        return Ok(wrong);
    }
    for index in 0_u64.. {
        cursor.skip_space();
        let start = cursor.at;
        if let Some(problem) = read_item(cursor, items, tools)?
            && wrong.len() < WRONG_MAX
        {
            wrong.push(Inner {
                pointer: format!("/{index}"),
                code: problem.code,
                message: problem.message,
                value: cursor.bytes[start..cursor.at].to_vec(),
            });
        }
        cursor.skip_space();
        match cursor.peek()? {
            b',' => cursor.at += 1,
            b']' => break,
            _ => {
                return Err(Fault::syntax(
                    cursor.at,
                    "expected a comma or a closing bracket",
                ));
            }
        }
    }
    cursor.at += 1;
    Ok(wrong)
}

/// Reads one item; after a problem the cursor is behind it.
fn read_item(
    cursor: &mut Cursor<'_>,
    items: &mut Column,
    tools: &mut Tools,
) -> Result<Option<ParseProblem>, Fault> {
    let start = cursor.at;
    if cursor.peek()? == b'n' {
        cursor.literal(b"null")?;
        return Ok(Some(ParseProblem::mismatch("an item cannot be null")));
    }
    match read_scalar(cursor, &mut items.values, tools) {
        Ok(()) => {
            items.count_value();
            Ok(None)
        }
        Err(Trouble::Fault(fault)) => Err(fault),
        Err(Trouble::Problem(problem)) => {
            cursor.at = start;
            tools.skip(cursor)?;
            Ok(Some(problem))
        }
        Err(Trouble::Inner(_)) => unreachable!("a scalar has no parts"),
    }
}
