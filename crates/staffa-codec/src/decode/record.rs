//! One JSON object into one row of columns: the inner loop of every JSON body.

use std::sync::Arc;

use staffa_domain::error::RecordErrorCode;
use staffa_domain::schema::SchemaSnapshot;

use super::DecodeOptions;
use super::cursor::{Cursor, Fault};
use super::rows::{Rows, excerpt, name_pointer};
use super::value::{Tools, Trouble, read_value};

/// What becomes of the records of a JSON body, however they are cut out of it.
pub(super) trait JsonRecords: std::fmt::Debug + Send {
    /// Reads the object that starts at `start`; answers where it ends. After a fault it must be
    /// rolled back or failed, else committed.
    fn read(&mut self, bytes: &[u8], start: usize) -> Result<usize, Fault>;

    /// Reads past a value, checking its grammar.
    fn skip(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault>;

    /// Says on which line the next record starts.
    fn at_line(&mut self, line: u64);

    /// Ends the record, which took `bytes` of input.
    fn commit(&mut self, bytes: usize);

    /// Forgets the record that was begun.
    fn roll_back(&mut self);

    /// Ends a record that cannot be read at all.
    fn fail(&mut self, why: String, record: &[u8]);

    /// The index in the body of the record that is being read.
    fn index(&self) -> u64;

    /// The most bytes of one record.
    fn record_bytes_max(&self) -> usize;
}

/// Unknown names that are remembered per record, to find those that come twice.
const UNKNOWN_MAX: usize = 100;

/// The properties' names in their quotes, end to end: made anew for each body, so in one piece.
#[derive(Debug)]
struct Names {
    bytes: Vec<u8>,
    /// Where each one starts and ends.
    spans: Vec<(usize, usize)>,
}

impl Names {
    fn new<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Self {
        const LEN_EXPECTED: usize = 24;
        let mut bytes = Vec::with_capacity(names.len() * LEN_EXPECTED);
        let mut spans = Vec::with_capacity(names.len());
        for name in names {
            let start = bytes.len();
            bytes.push(b'"');
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b'"');
            spans.push((start, bytes.len()));
        }
        Self { bytes, spans }
    }

    #[inline]
    fn get(&self, position: usize) -> Option<&[u8]> {
        let (start, end) = *self.spans.get(position)?;
        self.bytes.get(start..end)
    }
}

/// Reads records of one schema.
#[derive(Debug)]
pub(super) struct RecordReader {
    pub(super) rows: Rows,
    pub(super) tools: Tools,
    names: Names,
    /// The property that came after each one in an earlier record; last, the first one.
    /// Records of one source have their properties in one order, so this mostly saves the
    /// search for a name.
    next: Vec<usize>,
    /// The generation in which each property was last seen.
    stamps: Vec<u64>,
    generation: u64,
    unknown: Vec<Box<str>>,
}

impl RecordReader {
    pub(super) fn new(schema: Arc<SchemaSnapshot>, options: DecodeOptions, lines: bool) -> Self {
        let properties = &schema.schema().properties;
        let names = Names::new(properties.iter().map(|property| property.name.as_str()));
        let count = properties.len();
        let mut next: Vec<usize> = (1..=count).map(|at| at % count.max(1)).collect();
        next.push(0);
        Self {
            tools: Tools::new(options.depth_max),
            rows: Rows::new(schema, options, lines),
            names,
            next,
            stamps: vec![0; count],
            generation: 0,
            unknown: Vec::new(),
        }
    }

    fn read_object(&mut self, bytes: &[u8], start: usize) -> Result<usize, Fault> {
        let mut cursor = Cursor::new(bytes, start);
        cursor.expect(b'{', "a record must be an object")?;
        self.generation += 1;
        // Names may be left from a record that broke off.
        self.unknown.clear();
        let mut seen = 0;
        let mut previous = self.stamps.len();
        cursor.skip_space();
        if cursor.peek()? == b'}' {
            cursor.at += 1;
        } else {
            loop {
                if let Some(position) = self.member(&mut cursor, previous)? {
                    previous = position;
                    seen += 1;
                }
                cursor.skip_space();
                match cursor.peek()? {
                    b',' => cursor.at += 1,
                    b'}' => break,
                    _ => {
                        return Err(Fault::syntax(
                            cursor.at,
                            "expected a comma or a closing brace",
                        ));
                    }
                }
                cursor.skip_space();
            }
            cursor.at += 1;
        }
        if seen < self.stamps.len() {
            self.fill_absent();
        }
        Ok(cursor.at)
    }

    /// Reads a name and its value; answers the property when one was appended to.
    #[inline]
    fn member(&mut self, cursor: &mut Cursor<'_>, previous: usize) -> Result<Option<usize>, Fault> {
        let position = self.name(cursor, previous)?;
        cursor.skip_space();
        cursor.expect(b':', "expected a colon")?;
        cursor.skip_space();
        let Some(position) = position else {
            self.tools.skip(cursor)?;
            return Ok(None);
        };
        if self.stamps[position] == self.generation {
            self.duplicate(cursor, position)?;
            return Ok(None);
        }
        self.stamps[position] = self.generation;
        let start = cursor.at;
        match read_value(cursor, &mut self.rows.columns[position], &mut self.tools) {
            Ok(()) => Ok(Some(position)),
            Err(Trouble::Fault(fault)) => Err(fault),
            Err(trouble) => self.trouble(cursor, start, position, trouble).map(Some),
        }
    }

    /// Reads a name and finds its property.
    #[inline]
    fn name(&mut self, cursor: &mut Cursor<'_>, previous: usize) -> Result<Option<usize>, Fault> {
        let guess = self.next[previous];
        if let Some(name) = self.names.get(guess)
            && cursor.bytes[cursor.at..].starts_with(name)
        {
            cursor.at += name.len();
            return Ok(Some(guess));
        }
        self.find_name(cursor, previous)
    }

    #[inline(never)]
    fn find_name(
        &mut self,
        cursor: &mut Cursor<'_>,
        previous: usize,
    ) -> Result<Option<usize>, Fault> {
        if cursor.peek()? != b'"' {
            return Err(Fault::syntax(cursor.at, "expected a name in quotes"));
        }
        let text = cursor.string()?;
        let name = cursor.text(text, &mut self.tools.scratch);
        let position = std::str::from_utf8(name)
            .ok()
            .and_then(|n| self.rows.schema.position(n));
        if let Some(position) = position {
            self.next[previous] = position;
            return Ok(Some(position));
        }
        let name: Box<str> = String::from_utf8_lossy(name).into();
        if self.unknown.contains(&name) {
            let pointer = name_pointer(&name);
            let message = format!("{} appears twice", excerpt(name.as_bytes()));
            self.rows
                .error(pointer, RecordErrorCode::DuplicateProperty, message, None);
        } else if self.unknown.len() < UNKNOWN_MAX {
            self.rows.unknown(&name);
            self.unknown.push(name);
        }
        Ok(None)
    }

    #[cold]
    fn duplicate(&mut self, cursor: &mut Cursor<'_>, position: usize) -> Result<(), Fault> {
        let start = cursor.at;
        self.tools.skip(cursor)?;
        let name = self.rows.schema.schema().properties[position].name.clone();
        let value = &cursor.bytes[start..cursor.at];
        let message = format!("{name} appears twice");
        let code = RecordErrorCode::DuplicateProperty;
        self.rows
            .error(format!("/{name}"), code, message, Some(value));
        Ok(())
    }

    #[cold]
    fn trouble(
        &mut self,
        cursor: &mut Cursor<'_>,
        start: usize,
        position: usize,
        trouble: Trouble,
    ) -> Result<usize, Fault> {
        let name = self.rows.schema.schema().properties[position].name.clone();
        match trouble {
            Trouble::Fault(fault) => return Err(fault),
            Trouble::Problem(problem) => {
                cursor.at = start;
                self.tools.skip(cursor)?;
                let value = &cursor.bytes[start..cursor.at];
                let (code, message) = (problem.code, problem.message);
                self.rows
                    .error(format!("/{name}"), code, message, Some(value));
            }
            Trouble::Inner(parts) => {
                for part in parts {
                    let pointer = format!("/{name}{}", part.pointer);
                    self.rows
                        .error(pointer, part.code, part.message, Some(&part.value));
                }
            }
        }
        self.rows.columns[position].push_null();
        Ok(position)
    }

    fn fill_absent(&mut self) {
        for position in 0..self.stamps.len() {
            if self.stamps[position] != self.generation {
                self.rows.push_absent(position);
            }
        }
    }
}

impl JsonRecords for RecordReader {
    #[inline]
    fn read(&mut self, bytes: &[u8], start: usize) -> Result<usize, Fault> {
        self.read_object(bytes, start)
    }

    fn skip(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        self.tools.skip(cursor)
    }

    #[inline]
    fn at_line(&mut self, line: u64) {
        self.rows.line = Some(line);
    }

    #[inline]
    fn commit(&mut self, bytes: usize) {
        self.rows.commit(bytes);
    }

    fn roll_back(&mut self) {
        self.rows.roll_back();
    }

    fn fail(&mut self, why: String, record: &[u8]) {
        let code = RecordErrorCode::Malformed;
        self.rows.fail(code, why, record, record.len());
    }

    fn index(&self) -> u64 {
        self.rows.index()
    }

    #[inline]
    fn record_bytes_max(&self) -> usize {
        self.rows.options.record_bytes_max
    }
}
