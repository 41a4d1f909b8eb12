//! The sample as it is read: rows of values, counted by property.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::facts::{Facts, Scalar};
use super::kinds::Kinds;

/// Texts that often stand for null. One that is read as null by nobody's wish is only counted.
pub const NULL_WORDS: [&str; 9] = [
    "NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", "\\N",
];

/// The most properties that are looked at.
const PROPERTIES_MAX: usize = 1_000;

/// A print of null, or of a row that was not reached.
pub(super) const NO_PRINT: u64 = 0;
/// The prints from here on are those of values; those below, of null words.
const FIRST_PRINT: u64 = 1 + NULL_WORDS.len() as u64;

/// How much of a sample is looked at.
#[derive(Debug, Clone, Copy)]
pub struct SampleLimits {
    /// The most rows; what comes behind them is not looked at.
    pub rows_max: u64,
    /// The most values, of all properties together, by which keys are sought: eight bytes each.
    pub prints_max: usize,
}

/// What is known of a sample.
#[derive(Debug, Clone)]
pub struct Sample {
    limits: SampleLimits,
    names: HashMap<String, usize>,
    pub(super) properties: Vec<Observed>,
    pub(super) rows: u64,
    /// Rows that could not be read, and what is wrong with the first.
    pub(super) unreadable: u64,
    pub(super) first_unreadable: Option<String>,
    /// Rows whose values have prints.
    pub(super) printed: usize,
    prints: usize,
    /// Names beyond the most properties.
    pub(super) has_more: bool,
    pub(super) is_cut: bool,
}

/// A property by the name that the source gives it.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    pub(super) name: String,
    pub(super) facts: Facts,
    /// For each row one number that is the same for equal values.
    pub(super) prints: Vec<u64>,
}

impl Sample {
    /// A sample of which nothing was read.
    pub fn new(limits: SampleLimits) -> Self {
        Self {
            limits,
            names: HashMap::new(),
            properties: Vec::new(),
            rows: 0,
            unreadable: 0,
            first_unreadable: None,
            printed: 0,
            prints: 0,
            has_more: false,
            is_cut: false,
        }
    }

    /// Whether as many rows were read as are wanted.
    pub const fn is_full(&self) -> bool {
        self.rows + self.unreadable >= self.limits.rows_max
    }

    /// Rows that were read.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether there is more than was read.
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Says that there was more than was read.
    pub const fn cut(&mut self) {
        self.is_cut = true;
    }

    /// The place of a property by the name that the source gives it; none beyond the most.
    pub fn property(&mut self, name: &str) -> Option<usize> {
        if let Some(at) = self.names.get(name) {
            return Some(*at);
        }
        let at = self.properties.len();
        if at == PROPERTIES_MAX {
            self.has_more = true;
            return None;
        }
        self.names.insert(name.to_owned(), at);
        self.properties.push(Observed {
            name: name.to_owned(),
            facts: Facts::default(),
            prints: Vec::new(),
        });
        Some(at)
    }

    /// Counts a value of the current row.
    pub fn value(&mut self, at: usize, scalar: &Scalar<'_>) {
        let facts = &mut self.properties[at].facts;
        facts.values += 1;
        facts.scalars.see(scalar);
        if scalar.kinds.has(Kinds::STRING) {
            facts.keep(scalar.text);
        }
        self.print(at, scalar.text);
    }

    /// Counts an item of an array of the current row.
    pub fn item(&mut self, at: usize, item: &Scalar<'_>) {
        self.properties[at].facts.items.see(item);
    }

    /// Counts an array of the current row, which may be read as a text too.
    pub fn list(&mut self, at: usize, text: Option<&Scalar<'_>>) {
        let facts = &mut self.properties[at].facts;
        facts.values += 1;
        facts.lists += 1;
        if let Some(text) = text {
            facts.scalars.see(text);
        }
        // Arrays are no keys; nor are they members of anything.
        facts.is_crowded = true;
    }

    /// Counts a null word of the current row.
    pub fn null_word(&mut self, at: usize, word: usize) {
        self.properties[at].facts.words[word] += 1;
        self.put_print(at, 1 + word as u64);
    }

    /// Counts a value of the current row that no type can hold.
    pub fn refuse(&mut self, at: usize, why: impl Into<String>) {
        let facts = &mut self.properties[at].facts;
        facts.values += 1;
        match &mut facts.refused {
            Some((count, _)) => *count += 1,
            None => facts.refused = Some((1, why.into())),
        }
    }

    /// Ends the current row.
    pub fn end_row(&mut self) {
        let wanted = self.prints + self.properties.len();
        if self.printed as u64 == self.rows && wanted <= self.limits.prints_max {
            self.prints = wanted;
            self.printed += 1;
        }
        self.rows += 1;
    }

    /// Counts a row that cannot be read, whatever the schema.
    pub fn unreadable(&mut self, why: impl Into<String>) {
        self.unreadable += 1;
        if self.first_unreadable.is_none() {
            self.first_unreadable = Some(why.into());
        }
    }

    fn print(&mut self, at: usize, text: &[u8]) {
        if self.printed as u64 == self.rows {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            self.put_print(at, hasher.finish().max(FIRST_PRINT));
        }
    }

    fn put_print(&mut self, at: usize, print: u64) {
        if self.printed as u64 == self.rows {
            let prints = &mut self.properties[at].prints;
            prints.resize(self.printed, NO_PRINT);
            prints.push(print);
        }
    }
}
