//! Records in CSV as a sample.

use staffa_domain::infer::{Kinds, NULL_WORDS, Sample};

use super::json::{count_items, read_list};
use super::scalar::of_cell;
use crate::decode::array::valid_prefix;
use crate::decode::csv::{Cell, Cells, CsvRecords, header_names, is_null};
use crate::decode::cursor::Cursor;
use crate::decode::value::Tools;
use crate::decode::walk::Walker;
use crate::decode::{DecodeError, DecodeOptions};

/// Counts the records of a CSV body.
#[derive(Debug)]
pub(super) struct CsvSample {
    pub(super) sample: Sample,
    options: DecodeOptions,
    tools: Tools,
    walker: Walker,
    /// The property of each cell, once the header is read; none for what is not looked at.
    header: Option<Vec<Option<usize>>>,
    unquoted: Vec<u8>,
}

impl CsvSample {
    pub(super) fn new(sample: Sample, options: DecodeOptions) -> Self {
        Self {
            sample,
            tools: Tools::new(options.depth_max),
            walker: Walker::default(),
            options,
            header: None,
            unquoted: Vec::new(),
        }
    }

    fn read_header(&mut self, text: &[u8], line: u64) -> Result<(), DecodeError> {
        let mut header = Vec::new();
        for name in header_names(text, self.options.csv.delimiter, line)? {
            let at = self.sample.property(&name);
            if let Some(at) = at
                && header.contains(&Some(at))
            {
                self.sample.refuse(at, "the header names it twice");
                header.push(None);
            } else {
                header.push(at);
            }
        }
        self.header = Some(header);
        Ok(())
    }

    /// Whether the record as a whole can be read.
    fn check(&self, header: &[Option<usize>], text: &[u8]) -> Result<(), String> {
        if valid_prefix(text) < text.len() {
            return Err("the text is not UTF-8".to_owned());
        }
        let mut count = 0;
        for cell in Cells::new(text, self.options.csv.delimiter) {
            cell?;
            count += 1;
        }
        if count == header.len() {
            return Ok(());
        }
        Err(format!(
            "has {count} cells where the header has {}",
            header.len()
        ))
    }

    fn read_cell(&mut self, at: usize, cell: &Cell<'_>) {
        if is_null(cell, &self.options.csv) {
            return;
        }
        let is_word = |word: &&str| word.as_bytes() == cell.raw;
        if self.options.csv.null_value.is_none()
            && !cell.is_quoted
            && let Some(word) = NULL_WORDS.iter().position(is_word)
        {
            self.sample.null_word(at, word);
            return;
        }
        let text = cell.text(&mut self.unquoted);
        let Some(mut scalar) = of_cell(text) else {
            self.sample.refuse(at, "text cannot hold U+0000");
            return;
        };
        let mut cursor = Cursor::new(text, 0);
        match text.first() {
            Some(b'{') => {
                let scratch = &mut self.tools.scratch;
                scratch.clear();
                let depth_max = self.tools.depth_max;
                let walked = self.walker.walk(&mut cursor, scratch, depth_max);
                cursor.skip_space();
                if matches!(walked, Ok(None)) && cursor.at == text.len() {
                    scalar.kinds = scalar.kinds | Kinds::OBJECT;
                }
            }
            Some(b'[') => {
                let items = read_list(&mut cursor, &mut self.tools);
                cursor.skip_space();
                if let Ok(Ok(items)) = items
                    && cursor.at == text.len()
                {
                    count_items(&mut self.sample, at, &items);
                    self.sample.list(at, Some(&scalar));
                    return;
                }
            }
            _ => {}
        }
        self.sample.value(at, &scalar);
    }
}

impl CsvRecords for CsvSample {
    fn record(&mut self, text: &[u8], line: u64, _: usize) -> Result<(), DecodeError> {
        let Some(header) = self.header.take() else {
            return self.read_header(text, line);
        };
        if self.sample.is_full() {
            self.sample.cut();
        } else if let Err(why) = self.check(&header, text) {
            self.sample.unreadable(format!("line {line}: {why}"));
        } else {
            let cells = Cells::new(text, self.options.csv.delimiter).flatten();
            for (at, cell) in header.iter().zip(cells) {
                if let Some(at) = at {
                    self.read_cell(*at, &cell);
                }
            }
            self.sample.end_row();
        }
        self.header = Some(header);
        Ok(())
    }

    fn has_header(&self) -> bool {
        self.header.is_some()
    }

    fn index(&self) -> u64 {
        self.sample.rows()
    }

    fn record_bytes_max(&self) -> usize {
        self.options.record_bytes_max
    }
}
