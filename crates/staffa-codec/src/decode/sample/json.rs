//! Records in JSON as a sample.

use std::borrow::Cow;

use staffa_domain::infer::{Kinds, Sample, Scalar};

use super::scalar::{of_number, of_text};
use crate::decode::DecodeOptions;
use crate::decode::cursor::{Cursor, Fault};
use crate::decode::record::JsonRecords;
use crate::decode::rows::excerpt;
use crate::decode::value::Tools;
use crate::decode::walk::Walker;

/// Counts the records of a JSON body.
#[derive(Debug)]
pub(super) struct JsonSample {
    pub(super) sample: Sample,
    tools: Tools,
    walker: Walker,
    depth_max: usize,
    record_bytes_max: usize,
    /// The record that was read and is not committed yet, without space; what is wrong with it.
    record: Vec<u8>,
    flaw: Option<String>,
}

impl JsonSample {
    pub(super) fn new(sample: Sample, options: &DecodeOptions) -> Self {
        Self {
            sample,
            tools: Tools::new(options.depth_max),
            walker: Walker::default(),
            depth_max: options.depth_max,
            record_bytes_max: options.record_bytes_max,
            record: Vec::new(),
            flaw: None,
        }
    }

    fn unreadable(&mut self, why: String) {
        if self.sample.is_full() {
            self.sample.cut();
        } else {
            self.sample.unreadable(why);
        }
    }
}

impl JsonRecords for JsonSample {
    fn read(&mut self, bytes: &[u8], start: usize) -> Result<usize, Fault> {
        let mut cursor = Cursor::new(bytes, start);
        if cursor.peek()? != b'{' {
            return Err(Fault::syntax(start, "a record must be an object"));
        }
        self.record.clear();
        let flaw = self
            .walker
            .walk(&mut cursor, &mut self.record, self.depth_max)?;
        self.flaw = flaw.map(|flaw| format!("{}: {}", flaw.pointer, flaw.message));
        Ok(cursor.at)
    }

    fn skip(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        self.tools.skip(cursor)
    }

    fn at_line(&mut self, _: u64) {}

    fn commit(&mut self, _: usize) {
        if let Some(flaw) = self.flaw.take() {
            return self.unreadable(flaw);
        }
        if self.sample.is_full() {
            return self.sample.cut();
        }
        let mut cursor = Cursor::new(&self.record, 0);
        let members = Members {
            sample: &mut self.sample,
            tools: &mut self.tools,
        };
        // It was walked before, so that no fault is left to be found.
        let _ = members.read(&mut cursor);
        self.sample.end_row();
    }

    fn roll_back(&mut self) {
        self.flaw = None;
    }

    fn fail(&mut self, why: String, record: &[u8]) {
        self.flaw = None;
        self.unreadable(format!("{why}: {}", excerpt(record)));
    }

    fn index(&self) -> u64 {
        self.sample.rows()
    }

    fn record_bytes_max(&self) -> usize {
        self.record_bytes_max
    }
}

/// The members of one object, one property each.
struct Members<'a> {
    sample: &'a mut Sample,
    tools: &'a mut Tools,
}

impl Members<'_> {
    fn read(mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        cursor.at += 1;
        while cursor.peek()? != b'}' {
            if cursor.peek()? == b',' {
                cursor.at += 1;
            }
            let text = cursor.string()?;
            let name = cursor.text(text, &mut self.tools.scratch);
            let at = self.sample.property(&String::from_utf8_lossy(name));
            cursor.expect(b':', "expected a colon")?;
            match at {
                Some(at) => self.value(cursor, at)?,
                None => self.tools.skip(cursor)?,
            }
        }
        Ok(())
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, at: usize) -> Result<(), Fault> {
        let start = cursor.at;
        match cursor.peek()? {
            b'n' => return cursor.literal(b"null"),
            b'"' => {
                let text = cursor.string()?;
                match of_text(cursor.text(text, &mut self.tools.scratch)) {
                    Some(scalar) => self.sample.value(at, &scalar),
                    None => self.sample.refuse(at, "text cannot hold U+0000"),
                }
                return Ok(());
            }
            b'[' => match read_list(cursor, self.tools)? {
                Ok(items) => {
                    count_items(self.sample, at, &items);
                    self.sample.list(at, None);
                    return Ok(());
                }
                Err(why) => {
                    self.sample.refuse(at, why);
                    return Ok(());
                }
            },
            _ => self.tools.skip(cursor)?,
        }
        let raw = &cursor.bytes[start..cursor.at];
        let scalar = match raw.first() {
            Some(b'{') => Scalar::new(Kinds::OBJECT, raw),
            Some(b't' | b'f') => Scalar::new(Kinds::BOOLEAN, raw),
            _ => of_number(raw),
        };
        self.sample.value(at, &scalar);
        Ok(())
    }
}

/// An item of an array: its text, and whether it stands in quotes.
pub(super) struct Item<'a> {
    text: Cow<'a, [u8]>,
    is_quoted: bool,
}

/// Reads the array at the cursor: its items, or why no type holds it. The cursor is then
/// behind it.
pub(super) fn read_list<'a>(
    cursor: &mut Cursor<'a>,
    tools: &mut Tools,
) -> Result<Result<Vec<Item<'a>>, &'static str>, Fault> {
    let start = cursor.at;
    tools.skip(cursor)?;
    let mut within = Cursor::new(&cursor.bytes[..cursor.at], start + 1);
    let mut items = Vec::new();
    loop {
        within.skip_space();
        match within.peek()? {
            b']' => return Ok(Ok(items)),
            b',' => within.at += 1,
            b'n' => return Ok(Err("an item of an array cannot be null")),
            b'[' | b'{' => return Ok(Err("an item of an array is no scalar")),
            b'"' => {
                let text = within.string()?;
                if let Some(flaw) = text.flaw {
                    return Ok(Err(flaw.why()));
                }
                let raw = &cursor.bytes[text.start..text.end];
                let text = match text.is_escaped {
                    true => Cow::Owned(within.text(text, &mut tools.scratch).to_vec()),
                    false => Cow::Borrowed(raw),
                };
                items.push(Item {
                    text,
                    is_quoted: true,
                });
            }
            _ => {
                let start = within.at;
                tools.skip(&mut within)?;
                items.push(Item {
                    text: Cow::Borrowed(&cursor.bytes[start..within.at]),
                    is_quoted: false,
                });
            }
        }
    }
}

/// Counts the items of one array.
pub(super) fn count_items(sample: &mut Sample, at: usize, items: &[Item<'_>]) {
    for Item { text, is_quoted } in items {
        match (is_quoted, text.first()) {
            (true, _) => match of_text(text) {
                Some(scalar) => sample.item(at, &scalar),
                None => sample.item(at, &Scalar::new(Kinds::NONE, text)),
            },
            (false, Some(b't' | b'f')) => sample.item(at, &Scalar::new(Kinds::BOOLEAN, text)),
            (false, _) => sample.item(at, &of_number(text)),
        }
    }
}
