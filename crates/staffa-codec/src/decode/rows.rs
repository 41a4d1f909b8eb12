//! The batch that is being filled, and the batches that are full.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::BooleanArray;
use arrow_buffer::BooleanBufferBuilder;

use staffa_domain::batch::{Given, Origin};
use staffa_domain::error::RecordErrorCode;
use staffa_domain::schema::{Property, SchemaSnapshot, UnknownProperties};
use staffa_domain::{DecodedBatch, RecordError};

use super::DecodeOptions;
use super::column::Column;
use super::width::{default_bytes, fixed_bytes};

/// The most errors that are told of one record.
const RECORD_ERRORS_MAX: usize = 100;

/// A batch ends after the record with which there are as many errors: each takes far more than
/// the text that it is about.
const BATCH_ERRORS_MAX: usize = 8_192;

/// How much more than its input a batch may take in places for its values, which wide schemas
/// have many of.
const FIXED_PER_INPUT: usize = 4;

/// Offsets within a batch are 32-bit: no record may come near that.
const RECORD_BYTES_LIMIT: usize = 1 << 30;

/// The first batch grows from here; most bodies hold few records.
const FIRST_CAPACITY: usize = 16;

#[derive(Debug)]
pub(super) struct Rows {
    pub(super) schema: Arc<SchemaSnapshot>,
    pub(super) options: DecodeOptions,
    pub(super) columns: Vec<Column>,
    /// For each property, which records give it; empty where records are whole. One that falls
    /// short says that the rest do.
    given: Vec<BooleanBufferBuilder>,
    errors: Vec<RecordError>,
    /// How many errors there were when the current record began.
    errors_before: usize,
    lines: Option<Vec<u64>>,
    first: u64,
    len: usize,
    bytes: usize,
    /// What each default takes.
    default_bytes: Vec<usize>,
    /// The line on which the current record starts.
    pub(super) line: Option<u64>,
    ready: VecDeque<DecodedBatch>,
}

impl Rows {
    pub(super) fn new(
        schema: Arc<SchemaSnapshot>,
        mut options: DecodeOptions,
        lines: bool,
    ) -> Self {
        options.record_bytes_max = options.record_bytes_max.min(RECORD_BYTES_LIMIT);
        let fixed_max = options.batch_bytes.saturating_mul(FIXED_PER_INPUT);
        let rows_max = fixed_max / fixed_bytes(&schema).max(1);
        options.batch_rows = options.batch_rows.min(rows_max).max(1);
        let properties = &schema.schema().properties;
        let capacity = options.batch_rows.min(FIRST_CAPACITY);
        let column = |property: &Property| Column::new(&property.property_type, capacity);
        let marked = if options.parts { properties.len() } else { 0 };
        Self {
            columns: properties.iter().map(column).collect(),
            given: (0..marked).map(|_| BooleanBufferBuilder::new(0)).collect(),
            errors: Vec::new(),
            errors_before: 0,
            lines: lines.then(Vec::new),
            first: 0,
            len: 0,
            bytes: 0,
            default_bytes: properties.iter().map(default_bytes).collect(),
            line: None,
            ready: VecDeque::new(),
            schema,
            options,
        }
    }

    /// The index in the request of the record that is being read.
    pub(super) const fn index(&self) -> u64 {
        self.first + self.len as u64
    }

    pub(super) fn ignores_unknown(&self) -> bool {
        self.schema.schema().unknown_properties == UnknownProperties::Ignore
    }

    /// Notes what is wrong with the record that is being read.
    #[cold]
    pub(super) fn error(
        &mut self,
        pointer: String,
        code: RecordErrorCode,
        message: String,
        value: Option<&[u8]>,
    ) {
        if self.errors.len() - self.errors_before < RECORD_ERRORS_MAX {
            self.errors.push(RecordError {
                index: self.index(),
                line: self.line,
                pointer,
                code,
                message,
                value: value.map(excerpt),
            });
        }
    }

    /// Notes a property that the schema does not know, unless it is to be ignored.
    #[cold]
    pub(super) fn unknown(&mut self, name: &str) {
        if !self.ignores_unknown() {
            let message = unknown_message(&self.schema, name);
            let pointer = name_pointer(name);
            self.error(pointer, RecordErrorCode::UnknownProperty, message, None);
        }
    }

    /// Appends what an absent property is: its default, else null; in a part, nothing.
    pub(super) fn push_absent(&mut self, position: usize) {
        if let Some(marks) = self.given.get_mut(position) {
            marks.append_n(self.len - marks.len(), true);
            marks.append(false);
            self.columns[position].push_null();
            return;
        }
        match &self.schema.schema().properties[position].default {
            Some(value) => {
                // Defaults fill a batch too, though they are no input.
                self.bytes += self.default_bytes[position];
                self.columns[position].push(value);
            }
            None => self.columns[position].push_null(),
        }
    }

    /// Ends the record, which took `bytes` of input.
    #[inline]
    pub(super) fn commit(&mut self, bytes: usize) {
        self.len += 1;
        self.bytes += bytes;
        if let (Some(lines), Some(line)) = (&mut self.lines, self.line) {
            lines.push(line);
        }
        self.errors_before = self.errors.len();
        if self.len >= self.options.batch_rows
            || self.bytes >= self.options.batch_bytes
            || self.errors.len() >= BATCH_ERRORS_MAX
        {
            self.flush(false);
        }
    }

    /// Ends a record that cannot be read at all: nulls and one error.
    #[cold]
    pub(super) fn fail(
        &mut self,
        code: RecordErrorCode,
        message: String,
        record: &[u8],
        bytes: usize,
    ) {
        self.roll_back();
        self.columns.iter_mut().for_each(Column::push_null);
        self.error(String::new(), code, message, Some(record));
        self.commit(bytes);
    }

    /// Forgets the record that was begun.
    #[cold]
    pub(super) fn roll_back(&mut self) {
        let len = self.len;
        self.columns
            .iter_mut()
            .for_each(|column| column.truncate(len));
        self.given
            .iter_mut()
            .for_each(|marks| marks.truncate(len.min(marks.len())));
        self.errors.truncate(self.errors_before);
    }

    /// Completes the last batch, if it holds anything.
    pub(super) fn flush_last(&mut self) {
        self.flush(true);
    }

    fn flush(&mut self, is_last: bool) {
        if self.len == 0 {
            return;
        }
        let fields = self.schema.property_layout().fields();
        let columns = self.columns.iter_mut().zip(fields);
        let properties = columns
            .map(|(column, field)| column.finish(field.data_type(), is_last))
            .collect();
        let given = self.options.parts.then(|| self.given());
        self.ready.push_back(DecodedBatch {
            schema: Arc::clone(&self.schema),
            properties,
            len: self.len,
            given,
            origin: Origin {
                first: self.first,
                lines: self.lines.as_mut().map(std::mem::take),
            },
            errors: std::mem::take(&mut self.errors),
        });
        self.first += self.len as u64;
        self.len = 0;
        self.bytes = 0;
        self.errors_before = 0;
    }

    fn given(&mut self) -> Vec<Given> {
        let len = self.len;
        let marks = self.given.iter_mut().map(|marks| {
            marks.append_n(len - marks.len(), true);
            Given::from_marks(BooleanArray::from(marks.finish()))
        });
        marks.collect()
    }

    pub(super) fn take(&mut self) -> Option<DecodedBatch> {
        self.ready.pop_front()
    }
}

/// A value's text as an error shows it, at most 200 characters of it.
pub(super) fn excerpt(raw: &[u8]) -> String {
    const SHOWN_MAX: usize = 200;
    const BYTES_PER_CHARACTER_MAX: usize = 4;
    let head = &raw[..raw.len().min(SHOWN_MAX * BYTES_PER_CHARACTER_MAX)];
    let mut text = String::from_utf8_lossy(head).trim_ascii_end().to_owned();
    if let Some((cut, _)) = text.char_indices().nth(SHOWN_MAX) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// A pointer to a member by a name from a body, which may be of any length: one that no
/// schema could have is cut.
pub(super) fn name_pointer(name: &str) -> String {
    const EXACT_MAX: usize = 200;
    if name.len() <= EXACT_MAX {
        return format!("/{}", super::walk::escape_pointer(name));
    }
    format!(
        "/{}",
        super::walk::escape_pointer(&excerpt(name.as_bytes()))
    )
}

/// Says that a property is unknown, and which one was probably meant.
pub(super) fn unknown_message(schema: &SchemaSnapshot, name: &str) -> String {
    let shown = excerpt(name.as_bytes());
    let nearest = schema
        .schema()
        .properties
        .iter()
        .map(|property| (distance(name, property.name.as_str()), property))
        .filter(|(distance, _)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, property)) => {
            format!(
                "{} has no property {shown}; did you mean {}",
                schema.name(),
                property.name
            )
        }
        None => format!("{} has no property {shown}", schema.name()),
    }
}

/// How many bytes must be put in, left out or changed, letter case aside.
fn distance(a: &str, b: &str) -> usize {
    const LEN_MAX: usize = 64;
    if a.len() > LEN_MAX {
        return a.len();
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(!x.eq_ignore_ascii_case(&y));
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
