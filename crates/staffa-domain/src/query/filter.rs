//! Conditions on records, as a tree.

use crate::query::Field;
use crate::value::Value;

/// A condition tree. Three-valued as in SQL: a comparison with null is unknown, `not` of
/// unknown is unknown, and only records for which the tree is true match.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All hold. Empty: always true.
    And(Vec<Filter>),
    /// At least one holds. Empty: never.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// A leaf.
    Condition(Condition),
}

/// One field and what it must satisfy.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The field.
    pub field: Field,
    /// What it must satisfy.
    pub test: Test,
}

/// The order of two values of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Larger.
    Gt,
    /// Larger or equal.
    Gte,
    /// Smaller.
    Lt,
    /// Smaller or equal.
    Lte,
}

/// What one field must satisfy. Operands have the field's type and are never null.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Compares with a value; ordered types only.
    Compare(Comparison, Value),
    /// Is one of these; ordered types only. Empty: never true (unknown for null).
    In(Vec<Value>),
    /// Lies between two values, both included; ordered types only.
    Between(Value, Value),
    /// A text matches a pattern: `%` any characters, `_` one character, `\` takes the next
    /// one literally. Without regard to the case of A-Z where `ignore_case` is set.
    Like {
        /// The pattern.
        pattern: String,
        /// Whether A-Z and a-z are the same; other letters are compared as they are.
        ignore_case: bool,
    },
    /// A text has this part.
    Contains(String),
    /// A text starts with this.
    StartsWith(String),
    /// A text ends with this.
    EndsWith(String),
    /// An array has this item.
    HasItem(Value),
    /// There is no value. Never unknown.
    IsNull,
}

impl Filter {
    /// A leaf.
    pub const fn condition(field: Field, test: Test) -> Self {
        Self::Condition(Condition { field, test })
    }

    /// How many leaves the tree has.
    pub fn conditions(&self) -> usize {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::conditions).sum(),
            Self::Not(part) => part.conditions(),
            Self::Condition(_) => 1,
        }
    }

    /// How deep the tree is; a leaf alone is one.
    pub fn depth(&self) -> usize {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                1 + parts.iter().map(Self::depth).max().unwrap_or(0)
            }
            Self::Not(part) => 1 + part.depth(),
            Self::Condition(_) => 1,
        }
    }
}
