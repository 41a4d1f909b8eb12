//! What is to be told of a guess.

use std::fmt;

/// What kind of remark it is. The text of each is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RemarkCode {
    /// How much of the sample was read.
    Rows,
    /// Rows that could not be read.
    Unreadable,
    /// The name is not the source's own.
    Renamed,
    /// No type can hold all values: the schema refuses some of the sample.
    Conflict,
    /// Not one value was seen.
    NoValues,
    /// How many values are null.
    Nulls,
    /// A text that stands for null.
    NullValue,
    /// How long texts are.
    Length,
    /// How values are written.
    Format,
    /// The size of a decimal.
    Decimal,
    /// Few different texts: an enum, perhaps.
    Enum,
    /// Unique in the sample: a key, perhaps.
    Key,
    /// Many values that each pick a few records: an index, perhaps.
    Index,
}

impl RemarkCode {
    /// The stable text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Unreadable => "unreadable",
            Self::Renamed => "renamed",
            Self::Conflict => "conflict",
            Self::NoValues => "no_values",
            Self::Nulls => "nulls",
            Self::NullValue => "null_value",
            Self::Length => "length",
            Self::Format => "format",
            Self::Decimal => "decimal",
            Self::Enum => "enum_candidate",
            Self::Key => "key_candidate",
            Self::Index => "index_candidate",
        }
    }
}

impl fmt::Display for RemarkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something to tell of the proposal, or of one of its properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The position of the property; none where it is about the whole.
    pub property: Option<usize>,
    /// What kind it is.
    pub code: RemarkCode,
    /// The remark, for a person.
    pub message: String,
}

/// A text of the sample as a remark shows it: one line, not too long.
pub(super) fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 100;
    let mut out: String = text
        .chars()
        .take(CHARACTERS_MAX)
        .flat_map(
            |c| match c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') {
                true => c.escape_default().collect::<Vec<_>>(),
                false => vec![c],
            },
        )
        .collect();
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        out.push('…');
    }
    out
}
