//! Questions on the wire (filters, sort, fields, cursors, aggregates) to checked domain ones.
//!
//! Everything is checked against one schema version: unknown fields and operators, operands
//! that are not of the field's type, and operators that mean nothing for it are refused with
//! a code, a pointer and a hint.

mod aggregate;
mod filter;
mod operand;
mod place;
mod position;
mod short;
mod sort;
mod write;

pub use aggregate::{GROUPS_MAX, parse_aggregate, parse_aggregate_text};
pub use filter::{parse_filters, parse_filters_text};
pub use position::{read_position, write_position};
pub use short::{parse_filter_param, parse_filter_params};
pub use sort::{parse_fields, parse_fields_json, parse_sort_json, parse_sort_text, write_sort};
pub use write::write_filter;

/// Why a question is refused, as the wire says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuestionCode {
    /// Its form is wrong, or a value is not of its field's type.
    InvalidParameter,
    /// It names a field that the schema does not have.
    UnknownField,
    /// It names an operator that does not exist.
    UnknownOperator,
}

impl QuestionCode {
    /// The stable code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidParameter => "invalid_parameter",
            Self::UnknownField => "unknown_field",
            Self::UnknownOperator => "unknown_operator",
        }
    }
}

/// What is wrong with a question, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct QuestionProblem {
    /// What kind of mistake it is.
    pub code: QuestionCode,
    /// A JSON pointer into the body, or the parameter's place as the caller named it.
    pub pointer: String,
    /// What is wrong, for a person.
    pub message: String,
}

impl QuestionProblem {
    /// A parameter that can't be used as it stands.
    pub fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: QuestionCode::InvalidParameter,
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

/// How large a filter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The deepest tree; a leaf alone is one deep.
    pub depth_max: usize,
    /// The most conditions.
    pub conditions_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: 32,
            conditions_max: 50,
        }
    }
}

/// The most sort keys.
pub const SORT_KEYS_MAX: usize = 16;

#[cfg(test)]
mod tests;
