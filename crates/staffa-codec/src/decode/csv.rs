//! Comma-separated values with a header (RFC 4180), from chunks.
//!
//! The splitting is our own, because a quoted empty cell is a text and an unquoted one null,
//! which `csv-core` does not tell apart.

pub(super) mod split;

use std::sync::Arc;

use staffa_domain::DecodedBatch;
use staffa_domain::error::RecordErrorCode;
use staffa_domain::schema::SchemaSnapshot;

use self::split::{Cell, Cells, Splitter};
use super::array::valid_prefix;
use super::column::{Column, Values};
use super::cursor::Cursor;
use super::ndjson::BYTE_ORDER_MARK;
use super::rows::{Rows, unknown_message};
use super::value::{Inner, Tools, Trouble, read_value};
use super::{BatchDecoder, DecodeError, DecodeErrorCode, DecodeOptions};
use crate::text::parse;

/// What is wrong with a cell, wholly or in several places.
type CellTrouble = Vec<Inner>;

/// Reads CSV.
#[derive(Debug)]
pub(super) struct CsvDecoder {
    rows: Rows,
    tools: Tools,
    splitter: Splitter,
    /// The property of each column, once the header is read; `None` for an ignored one.
    header: Option<Vec<Option<usize>>>,
    /// The properties without a column.
    absent: Vec<usize>,
    tail: Vec<u8>,
    /// The line that comes next, from one.
    line: u64,
    unquoted: Vec<u8>,
}

impl CsvDecoder {
    pub(super) fn new(schema: Arc<SchemaSnapshot>, options: DecodeOptions) -> Self {
        Self {
            tools: Tools::new(options.depth_max),
            splitter: Splitter::new(options.csv.delimiter),
            rows: Rows::new(schema, options, true),
            header: None,
            absent: Vec::new(),
            tail: Vec::new(),
            line: 1,
            unquoted: Vec::new(),
        }
    }

    /// Reads one record, its line end included.
    fn read_record(&mut self, record: &[u8]) -> Result<(), DecodeError> {
        self.check_size(record.len())?;
        let line = self.line;
        self.line += memchr::memchr_iter(b'\n', record).count() as u64;
        let mut text = record.strip_suffix(b"\n").unwrap_or(record);
        text = text.strip_suffix(b"\r").unwrap_or(text);
        if line == 1 {
            text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        }
        if text.is_empty() {
            return Ok(());
        }
        let Some(header) = self.header.take() else {
            self.header = Some(self.read_header(text, line)?);
            return Ok(());
        };
        self.rows.line = Some(line);
        match self.read_cells(&header, text) {
            Ok(()) => self.rows.commit(record.len()),
            Err(why) => self
                .rows
                .fail(RecordErrorCode::Malformed, why, text, record.len()),
        }
        self.header = Some(header);
        Ok(())
    }

    fn read_header(&mut self, text: &[u8], line: u64) -> Result<Vec<Option<usize>>, DecodeError> {
        let bad = |code, message: String| Err(DecodeError::new(code, message).at_line(line));
        if valid_prefix(text) < text.len() {
            return bad(
                DecodeErrorCode::MalformedCsv,
                "the header is not UTF-8".to_owned(),
            );
        }
        let mut header = Vec::new();
        for cell in Cells::new(text, self.splitter.delimiter()) {
            let cell = match cell {
                Ok(cell) => cell,
                Err(why) => return bad(DecodeErrorCode::MalformedCsv, why.to_owned()),
            };
            let name = String::from_utf8_lossy(cell.text(&mut self.unquoted)).into_owned();
            let position = self.rows.schema.position(&name);
            if position.is_none() && !self.rows.ignores_unknown() {
                let message = unknown_message(&self.rows.schema, &name);
                let pointer = format!("/{}", super::walk::escape_pointer(&name));
                let error = DecodeError::new(DecodeErrorCode::UnknownProperty, message);
                return Err(error.at_line(line).at(pointer));
            }
            if position.is_some() && header.contains(&position) {
                let message = format!("the header names {name} twice");
                return bad(DecodeErrorCode::MalformedCsv, message);
            }
            header.push(position);
        }
        self.absent = (0..self.rows.columns.len())
            .filter(|at| !header.contains(&Some(*at)))
            .collect();
        Ok(header)
    }

    /// Appends a row; an error when the record as a whole is none.
    fn read_cells(&mut self, header: &[Option<usize>], text: &[u8]) -> Result<(), String> {
        if valid_prefix(text) < text.len() {
            return Err("the text is not UTF-8".to_owned());
        }
        let mut count = 0;
        for cell in Cells::new(text, self.splitter.delimiter()) {
            let cell = cell?;
            if let Some(Some(position)) = header.get(count) {
                self.read_cell(*position, cell);
            }
            count += 1;
        }
        if count != header.len() {
            return Err(format!(
                "has {count} cells where the header has {}",
                header.len()
            ));
        }
        for at in 0..self.absent.len() {
            self.rows.push_absent(self.absent[at]);
        }
        Ok(())
    }

    fn read_cell(&mut self, position: usize, cell: Cell<'_>) {
        let column = &mut self.rows.columns[position];
        let is_null = !cell.is_quoted
            && (cell.raw.is_empty()
                || self
                    .rows
                    .options
                    .csv
                    .null_value
                    .as_ref()
                    .is_some_and(|n| n.as_bytes() == cell.raw));
        if is_null {
            column.push_null();
            return;
        }
        let text = cell.text(&mut self.unquoted);
        if let Err(wrong) = push_text(column, text, &mut self.tools) {
            column.push_null();
            let name = self.rows.schema.schema().properties[position].name.clone();
            for part in wrong {
                let pointer = format!("/{name}{}", part.pointer);
                self.rows
                    .error(pointer, part.code, part.message, Some(&part.value));
            }
        }
    }

    fn check_size(&self, len: usize) -> Result<(), DecodeError> {
        let most = self.rows.options.record_bytes_max;
        if len <= most {
            return Ok(());
        }
        let message = format!(
            "the record on line {} is larger than {most} bytes",
            self.line
        );
        let error = DecodeError::new(DecodeErrorCode::TooLarge, message);
        Err(error.at_index(self.rows.index()).at_line(self.line))
    }

    fn read_tail(&mut self) -> Result<(), DecodeError> {
        let mut tail = std::mem::take(&mut self.tail);
        self.read_record(&tail)?;
        tail.clear();
        self.tail = tail;
        Ok(())
    }
}

/// Appends a cell's text as a value, or says what is wrong with it.
fn push_text(column: &mut Column, text: &[u8], tools: &mut Tools) -> Result<(), CellTrouble> {
    let outcome = match &mut column.values {
        Values::Text(_) if memchr::memchr(0, text).is_some() => {
            Err(parse::ParseProblem::mismatch("text cannot hold U+0000"))
        }
        Values::Text(texts) => {
            texts.bytes.extend_from_slice(text);
            texts.end();
            Ok(())
        }
        Values::Integer(values) => parse::parse_integer(text).map(|value| values.push(value)),
        Values::Number(values) => parse::parse_number(text).map(|value| values.push(value)),
        Values::Decimal(values, size) => {
            parse::parse_decimal(text, *size).map(|value| values.push(value))
        }
        Values::Boolean(values) => parse::parse_boolean(text).map(|value| values.append(value)),
        Values::Date(values) => parse::parse_date(text).map(|value| values.push(value)),
        Values::Datetime(values) => {
            parse::parse_datetime(text).map(|value| values.push(value.as_micros()))
        }
        Values::Uuid(values) => parse::parse_uuid(text).map(|value| values.push(*value.as_bytes())),
        Values::Object(_) | Values::List(..) => return push_json(column, text, tools),
    };
    match outcome {
        Ok(()) => {
            column.count_value();
            Ok(())
        }
        Err(problem) => Err(whole(problem, text)),
    }
}

fn push_json(column: &mut Column, text: &[u8], tools: &mut Tools) -> Result<(), CellTrouble> {
    let len = column.len();
    let mut cursor = Cursor::new(text, 0);
    cursor.skip_space();
    let outcome = read_value(&mut cursor, column, tools);
    cursor.skip_space();
    let fault = match outcome {
        Ok(()) if cursor.at == text.len() => return Ok(()),
        Ok(()) => "expected the end of the cell",
        Err(Trouble::Fault(fault)) => fault.why(),
        Err(Trouble::Problem(problem)) => return Err(whole(problem, text)),
        Err(Trouble::Inner(parts)) => return Err(parts),
    };
    column.truncate(len);
    Err(whole(
        parse::ParseProblem::mismatch(format!("must be JSON: {fault}")),
        text,
    ))
}

fn whole(problem: parse::ParseProblem, text: &[u8]) -> CellTrouble {
    vec![Inner {
        pointer: String::new(),
        code: problem.code,
        message: problem.message,
        value: text.to_vec(),
    }]
}

impl BatchDecoder for CsvDecoder {
    fn push(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        let mut rest = chunk;
        while let Some(len) = self.splitter.record_end(rest) {
            let (record, after) = rest.split_at(len);
            if self.tail.is_empty() {
                self.read_record(record)?;
            } else {
                self.tail.extend_from_slice(record);
                self.read_tail()?;
            }
            rest = after;
        }
        self.check_size(self.tail.len() + rest.len())?;
        self.tail.extend_from_slice(rest);
        Ok(())
    }

    fn take(&mut self) -> Option<DecodedBatch> {
        self.rows.take()
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        if self.splitter.is_quoted() {
            let message = "the last record ends within quotes";
            let error = DecodeError::new(DecodeErrorCode::Truncated, message);
            return Err(error.at_line(self.line).at_index(self.rows.index()));
        }
        if !self.tail.is_empty() {
            self.read_tail()?;
        }
        if self.header.is_none() {
            let message = "the body has no header";
            return Err(DecodeError::new(DecodeErrorCode::MalformedCsv, message));
        }
        self.rows.flush_last();
        Ok(())
    }
}
