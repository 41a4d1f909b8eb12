//! The records of a CSV body as rows of one schema.

use std::sync::Arc;

use staffa_domain::error::RecordErrorCode;
use staffa_domain::schema::SchemaSnapshot;

use super::split::{Cell, Cells};
use super::{CsvRecords, header_names, is_null};
use crate::decode::array::valid_prefix;
use crate::decode::column::{Column, Values};
use crate::decode::cursor::Cursor;
use crate::decode::rows::{Rows, unknown_message};
use crate::decode::value::{Inner, Tools, Trouble, read_value};
use crate::decode::walk::escape_pointer;
use crate::decode::{DecodeError, DecodeErrorCode, DecodeOptions};
use crate::text::parse;

/// What is wrong with a cell, wholly or in several places.
type CellTrouble = Vec<Inner>;

/// Reads the records of one schema.
#[derive(Debug)]
pub(in crate::decode) struct CsvRows {
    pub(super) rows: Rows,
    tools: Tools,
    /// The property of each cell, once the header is read; `None` for an ignored one.
    header: Option<Vec<Option<usize>>>,
    /// The properties without a cell.
    absent: Vec<usize>,
    unquoted: Vec<u8>,
}

impl CsvRows {
    pub(super) fn new(schema: Arc<SchemaSnapshot>, options: DecodeOptions) -> Self {
        Self {
            tools: Tools::new(options.depth_max),
            rows: Rows::new(schema, options, true),
            header: None,
            absent: Vec::new(),
            unquoted: Vec::new(),
        }
    }

    fn delimiter(&self) -> u8 {
        self.rows.options.csv.delimiter
    }

    fn read_header(&mut self, text: &[u8], line: u64) -> Result<Vec<Option<usize>>, DecodeError> {
        let mut header = Vec::new();
        for name in header_names(text, self.delimiter(), line)? {
            let position = self.rows.schema.position(&name);
            if position.is_none() && !self.rows.ignores_unknown() {
                let message = unknown_message(&self.rows.schema, &name);
                let pointer = format!("/{}", escape_pointer(&name));
                let error = DecodeError::new(DecodeErrorCode::UnknownProperty, message);
                return Err(error.at_line(line).at(pointer));
            }
            if position.is_some() && header.contains(&position) {
                let message = format!("the header names {name} twice");
                let error = DecodeError::new(DecodeErrorCode::MalformedCsv, message);
                return Err(error.at_line(line));
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
        for cell in Cells::new(text, self.delimiter()) {
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
        if is_null(&cell, &self.rows.options.csv) {
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
}

impl CsvRecords for CsvRows {
    fn record(&mut self, text: &[u8], line: u64, bytes: usize) -> Result<(), DecodeError> {
        let Some(header) = self.header.take() else {
            self.header = Some(self.read_header(text, line)?);
            return Ok(());
        };
        self.rows.line = Some(line);
        match self.read_cells(&header, text) {
            Ok(()) => self.rows.commit(bytes),
            Err(why) => self.rows.fail(RecordErrorCode::Malformed, why, text, bytes),
        }
        self.header = Some(header);
        Ok(())
    }

    fn has_header(&self) -> bool {
        self.header.is_some()
    }

    fn index(&self) -> u64 {
        self.rows.index()
    }

    fn record_bytes_max(&self) -> usize {
        self.rows.options.record_bytes_max
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
