//! What the values of a property must satisfy beyond their type.

use std::fmt;

use regex::Regex;

use crate::value::Value;

/// A regular expression that a text must match somewhere, as JSON Schema has it.
///
/// The dialect is that of the `regex` crate: linear time whatever the text, so no
/// look-around and no back-references.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles an expression.
    pub fn new(expression: &str) -> Result<Self, regex::Error> {
        regex::RegexBuilder::new(expression)
            .size_limit(1 << 20)
            .build()
            .map(Self)
    }

    /// Whether a text matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The constraints of one property; absent ones allow everything.
///
/// Lengths count Unicode code points. Bounds and enum members have the property's type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Constraints {
    /// The smallest value allowed.
    pub minimum: Option<Value>,
    /// The largest value allowed.
    pub maximum: Option<Value>,
    /// Every value must be larger than this.
    pub exclusive_minimum: Option<Value>,
    /// Every value must be smaller than this.
    pub exclusive_maximum: Option<Value>,
    /// The fewest code points of a text.
    pub min_length: Option<u64>,
    /// The most code points of a text.
    pub max_length: Option<u64>,
    /// What a text must match.
    pub pattern: Option<Pattern>,
    /// The only values allowed; empty allows all.
    pub one_of: Vec<Value>,
    /// The fewest items of an array.
    pub min_items: Option<u64>,
    /// The most items of an array.
    pub max_items: Option<u64>,
}

impl Constraints {
    /// Whether nothing is constrained.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
