//! Single records of a body as they were given, found by their index: for those that failed.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;
use serde_json::value::RawValue;

use staffa_domain::DecodedBatch;
use staffa_domain::schema::SchemaSnapshot;

use super::csv::split::{Cells, Splitter};
use super::frame::Framer;
use super::ndjson::BYTE_ORDER_MARK;
use super::{BatchDecoder, DecodeError, DecodeOptions, InputFormat, decoder};
use crate::encode::push_rows;
use crate::text::format::push_json_string;

/// Finds some records of a body that was read before, chunk by chunk.
///
/// Each comes out as JSON: an object of JSON as it was sent, a CSV record as an object of
/// texts by the names of its header, a row of Arrow or Parquet as an object of what the schema
/// knows of it, and what is no record at all as a text.
#[derive(Debug)]
pub struct RawRecords {
    kind: Kind,
    wanted: VecDeque<u64>,
    /// The index of the record that comes next.
    index: u64,
    found: VecDeque<(u64, String)>,
}

#[derive(Debug)]
enum Kind {
    Lines(Vec<u8>, bool),
    Array(Array),
    Csv(Csv),
    Columns(Box<dyn BatchDecoder>),
}

#[derive(Debug, Default)]
struct Array {
    tail: Vec<u8>,
    framer: Framer,
    /// Whether its first bracket was seen.
    is_open: bool,
}

#[derive(Debug)]
struct Csv {
    splitter: Splitter,
    tail: Vec<u8>,
    header: Option<Vec<String>>,
    is_first: bool,
}

impl RawRecords {
    /// Looks for the records of these indexes, which rise, in a body that was decoded with
    /// these options.
    pub fn new(
        format: InputFormat,
        schema: Arc<SchemaSnapshot>,
        options: DecodeOptions,
        wanted: Vec<u64>,
    ) -> Self {
        let kind = match format {
            InputFormat::NdJson => Kind::Lines(Vec::new(), true),
            InputFormat::Json => Kind::Array(Array::default()),
            InputFormat::Csv => Kind::Csv(Csv {
                splitter: Splitter::new(options.csv.delimiter),
                tail: Vec::new(),
                header: None,
                is_first: true,
            }),
            InputFormat::ArrowStream | InputFormat::Parquet => {
                Kind::Columns(decoder(format, schema, options))
            }
        };
        Self {
            kind,
            wanted: wanted.into(),
            index: 0,
            found: VecDeque::new(),
        }
    }

    /// Reads all of a chunk.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        match &mut self.kind {
            Kind::Lines(tail, _) => {
                let mut tail = std::mem::take(tail);
                let mut rest = chunk;
                while let Some(end) = memchr::memchr(b'\n', rest) {
                    tail.extend_from_slice(&rest[..end]);
                    self.line(&tail);
                    tail.clear();
                    rest = &rest[end + 1..];
                }
                tail.extend_from_slice(rest);
                if let Kind::Lines(place, _) = &mut self.kind {
                    *place = tail;
                }
            }
            Kind::Array(_) => self.elements(chunk),
            Kind::Csv(_) => self.rows(chunk),
            Kind::Columns(decoder) => {
                decoder.push(chunk)?;
                self.columns();
            }
        }
        Ok(())
    }

    /// Says that the body is over.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        match &mut self.kind {
            Kind::Lines(tail, _) => {
                let tail = std::mem::take(tail);
                self.line(&tail);
            }
            Kind::Array(_) => {}
            Kind::Csv(_) => self.rows(b"\n"),
            Kind::Columns(decoder) => {
                decoder.finish()?;
                self.columns();
            }
        }
        Ok(())
    }

    /// The next record that was found: its index and its JSON text.
    pub fn take(&mut self) -> Option<(u64, String)> {
        self.found.pop_front()
    }

    /// Whether all were found, so that the rest of the body need not be read.
    pub fn is_done(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Counts a record; keeps it where it is wanted.
    fn count(&mut self, json: impl FnOnce() -> String) {
        if self.wanted.front() == Some(&self.index) {
            self.wanted.pop_front();
            self.found.push_back((self.index, json()));
        }
        self.index += 1;
    }

    fn line(&mut self, line: &[u8]) {
        let mut line = line;
        if let Kind::Lines(_, is_first) = &mut self.kind
            && std::mem::take(is_first)
        {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        let line = trim(line);
        if !line.is_empty() {
            self.count(|| as_json(line));
        }
    }

    fn elements(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        loop {
            let Kind::Array(array) = &mut self.kind else {
                return;
            };
            if array.tail.is_empty() {
                let is_between = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
                let Some(start) = rest.iter().position(|byte| !is_between(byte)) else {
                    return;
                };
                rest = &rest[start..];
                if !std::mem::replace(&mut array.is_open, true) {
                    rest = &rest[1..];
                    continue;
                }
                if rest[0] == b']' {
                    return;
                }
            }
            let Some(len) = array.framer.scan(rest) else {
                array.tail.extend_from_slice(rest);
                return;
            };
            array.tail.extend_from_slice(&rest[..len]);
            rest = &rest[len..];
            array.framer = Framer::default();
            let element = std::mem::take(&mut array.tail);
            self.count(|| as_json(&element));
        }
    }

    fn rows(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        loop {
            let Kind::Csv(csv) = &mut self.kind else {
                return;
            };
            let Some(len) = csv.splitter.record_end(rest) else {
                csv.tail.extend_from_slice(rest);
                return;
            };
            csv.tail.extend_from_slice(&rest[..len]);
            rest = &rest[len..];
            let record = std::mem::take(&mut csv.tail);
            let mut text = record.strip_suffix(b"\n").unwrap_or(&record);
            text = text.strip_suffix(b"\r").unwrap_or(text);
            if std::mem::take(&mut csv.is_first) {
                text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
            }
            let delimiter = csv.splitter.delimiter();
            match (text.is_empty(), csv.header.take()) {
                (true, header) => csv.header = header,
                (false, None) => csv.header = cells(text, delimiter),
                (false, Some(header)) => {
                    self.count(|| row_json(&header, text, delimiter));
                    if let Kind::Csv(csv) = &mut self.kind {
                        csv.header = Some(header);
                    }
                }
            }
        }
    }

    fn columns(&mut self) {
        while let Kind::Columns(decoder) = &mut self.kind
            && let Some(batch) = decoder.take()
        {
            for row in 0..batch.len {
                self.count(|| decoded_json(&batch, row));
            }
        }
    }
}

/// Without the space that JSON knows around it.
fn trim(text: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let Some(start) = text.iter().position(is_text) else {
        return &[];
    };
    let end = text.iter().rposition(is_text).unwrap_or(start);
    &text[start..=end]
}

fn text_json(text: &[u8]) -> String {
    let mut json = Vec::new();
    push_json_string(&mut json, &String::from_utf8_lossy(text));
    String::from_utf8(json).unwrap_or_default()
}

/// JSON as it is where it stands on one line, and as a text where it is none.
fn as_json(text: &[u8]) -> String {
    match serde_json::from_slice::<&RawValue>(text) {
        Ok(raw) if !raw.get().contains(['\n', '\r']) => raw.get().to_owned(),
        Ok(raw) => serde_json::from_str::<serde_json::Value>(raw.get())
            .map_or_else(|_| text_json(text), |value| value.to_string()),
        Err(_) => text_json(text),
    }
}

fn cells(text: &[u8], delimiter: u8) -> Option<Vec<String>> {
    let mut scratch = Vec::new();
    let mut texts = Vec::new();
    for cell in Cells::new(text, delimiter) {
        texts.push(String::from_utf8_lossy(cell.ok()?.text(&mut scratch)).into_owned());
    }
    Some(texts)
}

fn row_json(header: &[String], text: &[u8], delimiter: u8) -> String {
    let cells = cells(text, delimiter).filter(|cells| cells.len() == header.len());
    let Some(cells) = cells else {
        return text_json(text);
    };
    let mut json = vec![b'{'];
    for (at, (name, cell)) in header.iter().zip(&cells).enumerate() {
        if at > 0 {
            json.push(b',');
        }
        push_json_string(&mut json, name);
        json.push(b':');
        push_json_string(&mut json, cell);
    }
    json.push(b'}');
    String::from_utf8(json).unwrap_or_default()
}

/// A row of typed columns. One that could not be read as its property's type is null.
fn decoded_json(batch: &DecodedBatch, row: usize) -> String {
    let columns = batch.properties.iter().map(|array| array.slice(row, 1));
    let layout = Arc::clone(batch.schema.property_layout());
    let mut json = Vec::new();
    let written = RecordBatch::try_new(layout, columns.collect())
        .map_err(Into::into)
        .and_then(|one| push_rows(&one, |_| false, &mut json, &mut true));
    match written {
        Ok(()) => String::from_utf8(json).unwrap_or_default(),
        Err(_) => "null".to_owned(),
    }
}
