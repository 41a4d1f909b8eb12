//! Records that a change cannot take along, as examples.

use crate::error::RecordErrorCode;
use crate::record::RecordId;
use crate::schema::PropertyType;
use crate::value::Value;

/// How many examples are told at most.
pub const EXAMPLES_MAX: usize = 1_000;

/// One value that stands in the way of a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The record.
    pub id: RecordId,
    /// The property, by the name that it would have.
    pub property: String,
    /// Its value now, where it has one that can be told.
    pub value: Option<Value>,
    /// The type of that value.
    pub property_type: PropertyType,
    /// Why it cannot stay.
    pub code: RecordErrorCode,
    /// Why, for a person.
    pub message: String,
}

/// What stands in the way of a change: up to [`EXAMPLES_MAX`] examples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Incompatible {
    /// The examples, in the order in which they were found.
    pub examples: Vec<Example>,
    /// Whether there are more than these.
    pub truncated: bool,
}

impl Incompatible {
    /// Notes an example, or that there are more.
    pub fn note(&mut self, example: Example) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example);
        } else {
            self.truncated = true;
        }
    }

    /// Whether nothing was found.
    pub const fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// Whether looking on would tell nothing more.
    pub const fn is_full(&self) -> bool {
        self.truncated
    }
}
