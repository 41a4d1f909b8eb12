//! The constraints of a property one by one, so that two sets can be compared.

use std::cmp::Ordering;
use std::fmt;

use crate::schema::{Constraints, Pattern};
use crate::value::Value;

/// Which constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConstraintKey {
    /// `minimum`
    Minimum,
    /// `maximum`
    Maximum,
    /// `exclusive_minimum`
    ExclusiveMinimum,
    /// `exclusive_maximum`
    ExclusiveMaximum,
    /// `min_length`
    MinLength,
    /// `max_length`
    MaxLength,
    /// `pattern`
    Pattern,
    /// `enum`
    Enum,
    /// `min_items`
    MinItems,
    /// `max_items`
    MaxItems,
}

impl ConstraintKey {
    /// All of them, in the order of documentation.
    pub const ALL: [Self; 10] = [
        Self::Minimum,
        Self::Maximum,
        Self::ExclusiveMinimum,
        Self::ExclusiveMaximum,
        Self::MinLength,
        Self::MaxLength,
        Self::Pattern,
        Self::Enum,
        Self::MinItems,
        Self::MaxItems,
    ];

    /// The key of a document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
            Self::ExclusiveMinimum => "exclusive_minimum",
            Self::ExclusiveMaximum => "exclusive_maximum",
            Self::MinLength => "min_length",
            Self::MaxLength => "max_length",
            Self::Pattern => "pattern",
            Self::Enum => "enum",
            Self::MinItems => "min_items",
            Self::MaxItems => "max_items",
        }
    }
}

impl fmt::Display for ConstraintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a constraint says.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// A bound, of the property's type.
    Bound(Value),
    /// A length.
    Length(u64),
    /// What texts must match.
    Pattern(Pattern),
    /// The only values allowed, of the property's type.
    OneOf(Vec<Value>),
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound(value) => write!(f, "{value}"),
            Self::Length(length) => write!(f, "{length}"),
            Self::Pattern(pattern) => f.write_str(pattern.as_str()),
            Self::OneOf(members) => {
                let members: Vec<String> = members.iter().map(ToString::to_string).collect();
                f.write_str(&members.join(", "))
            }
        }
    }
}

/// One constraint out of a set.
pub(super) fn get(rules: &Constraints, key: ConstraintKey) -> Option<Constraint> {
    let bound = |value: &Option<Value>| value.clone().map(Constraint::Bound);
    match key {
        ConstraintKey::Minimum => bound(&rules.minimum),
        ConstraintKey::Maximum => bound(&rules.maximum),
        ConstraintKey::ExclusiveMinimum => bound(&rules.exclusive_minimum),
        ConstraintKey::ExclusiveMaximum => bound(&rules.exclusive_maximum),
        ConstraintKey::MinLength => rules.min_length.map(Constraint::Length),
        ConstraintKey::MaxLength => rules.max_length.map(Constraint::Length),
        ConstraintKey::Pattern => rules.pattern.clone().map(Constraint::Pattern),
        ConstraintKey::Enum if rules.one_of.is_empty() => None,
        ConstraintKey::Enum => Some(Constraint::OneOf(rules.one_of.clone())),
        ConstraintKey::MinItems => rules.min_items.map(Constraint::Length),
        ConstraintKey::MaxItems => rules.max_items.map(Constraint::Length),
    }
}

/// Puts one constraint into a set, or takes it out. A constraint of another kind than its key
/// has is taken for none.
pub(super) fn set(rules: &mut Constraints, key: ConstraintKey, to: Option<Constraint>) {
    let (mut value, mut length, mut pattern, mut members) = (None, None, None, Vec::new());
    match to {
        Some(Constraint::Bound(bound)) => value = Some(bound),
        Some(Constraint::Length(of)) => length = Some(of),
        Some(Constraint::Pattern(of)) => pattern = Some(of),
        Some(Constraint::OneOf(of)) => members = of,
        None => {}
    }
    match key {
        ConstraintKey::Minimum => rules.minimum = value,
        ConstraintKey::Maximum => rules.maximum = value,
        ConstraintKey::ExclusiveMinimum => rules.exclusive_minimum = value,
        ConstraintKey::ExclusiveMaximum => rules.exclusive_maximum = value,
        ConstraintKey::MinLength => rules.min_length = length,
        ConstraintKey::MaxLength => rules.max_length = length,
        ConstraintKey::Pattern => rules.pattern = pattern,
        ConstraintKey::Enum => rules.one_of = members,
        ConstraintKey::MinItems => rules.min_items = length,
        ConstraintKey::MaxItems => rules.max_items = length,
    }
}

/// Whether every value that `from` allows is allowed by `to`, as far as can be told without
/// looking at values.
pub(super) fn is_looser(
    key: ConstraintKey,
    from: Option<&Constraint>,
    to: Option<&Constraint>,
) -> bool {
    let (Some(from), Some(to)) = (from, to) else {
        return to.is_none();
    };
    let order = match (from, to) {
        (Constraint::Bound(from), Constraint::Bound(to)) => to.compare(from),
        (Constraint::Length(from), Constraint::Length(to)) => Some(to.cmp(from)),
        (Constraint::OneOf(from), Constraint::OneOf(to)) => {
            return from.iter().all(|member| to.contains(member));
        }
        (from, to) => return from == to,
    };
    match key {
        ConstraintKey::Minimum
        | ConstraintKey::ExclusiveMinimum
        | ConstraintKey::MinLength
        | ConstraintKey::MinItems => order.is_some_and(Ordering::is_le),
        _ => order.is_some_and(Ordering::is_ge),
    }
}

/// Whether values that keep the rules `from` may break the rules `to`.
pub(super) fn is_tighter(from: &Constraints, to: &Constraints) -> bool {
    ConstraintKey::ALL
        .into_iter()
        .any(|key| !is_looser(key, get(from, key).as_ref(), get(to, key).as_ref()))
}
