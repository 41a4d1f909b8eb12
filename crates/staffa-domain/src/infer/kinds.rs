//! A set of types that are not arrays.

use std::ops::{BitAnd, BitOr};

/// A set of types that a value can be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u16);

impl Kinds {
    /// No type.
    pub const NONE: Self = Self(0);
    /// Text.
    pub const STRING: Self = Self(1);
    /// A 64-bit integer, written without point or exponent.
    pub const INTEGER: Self = Self(1 << 1);
    /// A double.
    pub const NUMBER: Self = Self(1 << 2);
    /// A decimal of some size.
    pub const DECIMAL: Self = Self(1 << 3);
    /// True or false.
    pub const BOOLEAN: Self = Self(1 << 4);
    /// A date.
    pub const DATE: Self = Self(1 << 5);
    /// A moment.
    pub const DATETIME: Self = Self(1 << 6);
    /// A UUID.
    pub const UUID: Self = Self(1 << 7);
    /// An object.
    pub const OBJECT: Self = Self(1 << 8);
    /// Every type.
    pub const ALL: Self = Self((1 << 9) - 1);

    /// Whether all of `other` are in this set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no type is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitAnd for Kinds {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
