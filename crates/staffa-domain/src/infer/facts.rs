//! What is known of the values of one property.

use super::kinds::Kinds;

/// The most texts that are kept as possible members of an enum.
pub(super) const MEMBERS_MAX: usize = 20;
/// The longest of them, in bytes.
const MEMBER_BYTES_MAX: usize = 64;

/// How many digits a number is written with, leading zeros aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digits {
    /// Before the point.
    pub whole: u32,
    /// After the point.
    pub fraction: u32,
}

/// Things to tell of how values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks(u8);

impl Marks {
    /// A number with zeros before it, which reading it as a number would lose.
    pub const LEADING_ZERO: Self = Self(1);
    /// A moment without an offset from UTC.
    pub const NO_OFFSET: Self = Self(1 << 1);
    /// A date in a form that is not read.
    pub const OTHER_DATE: Self = Self(1 << 2);
    /// A word for true or false that is not read.
    pub const OTHER_BOOLEAN: Self = Self(1 << 3);
    /// A decimal whose size the source declares.
    pub const DECLARED: Self = Self(1 << 4);

    /// A text of a number.
    pub const DIGITS: Self = Self(1 << 5);

    /// Whether all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One value that is neither null nor an array.
#[derive(Debug, Clone, Copy)]
pub struct Scalar<'a> {
    /// The types that it can be read as.
    pub kinds: Kinds,
    /// Its text, or other bytes that are the same for equal values.
    pub text: &'a [u8],
    /// Its digits, where it is a number.
    pub digits: Digits,
    /// Whether a double holds it as it is written.
    pub is_exact: bool,
    /// How it is written.
    pub marks: Marks,
}

impl<'a> Scalar<'a> {
    /// A value of these types of which nothing else is to be told.
    pub const fn new(kinds: Kinds, text: &'a [u8]) -> Self {
        Self {
            kinds,
            text,
            digits: Digits {
                whole: 0,
                fraction: 0,
            },
            is_exact: true,
            marks: Marks(0),
        }
    }
}

/// What is known of many values that are no arrays.
#[derive(Debug, Clone)]
pub(super) struct Scalars {
    pub(super) count: u64,
    /// The types that every value can be read as.
    pub(super) kinds: Kinds,
    pub(super) digits: Digits,
    pub(super) is_exact: bool,
    /// What any value is marked with.
    pub(super) any: Marks,
    /// What every value is marked with.
    pub(super) every: Marks,
    /// The longest text, in code points.
    pub(super) longest: u64,
}

impl Default for Scalars {
    fn default() -> Self {
        Self {
            count: 0,
            kinds: Kinds::ALL,
            digits: Digits::default(),
            is_exact: true,
            any: Marks(0),
            every: Marks(u8::MAX),
            longest: 0,
        }
    }
}

impl Scalars {
    pub(super) fn see(&mut self, scalar: &Scalar<'_>) {
        self.count += 1;
        self.kinds = self.kinds & scalar.kinds;
        self.digits.whole = self.digits.whole.max(scalar.digits.whole);
        self.digits.fraction = self.digits.fraction.max(scalar.digits.fraction);
        self.is_exact &= scalar.is_exact;
        self.any = self.any.with(scalar.marks);
        self.every = Marks(self.every.0 & scalar.marks.0);
        if scalar.kinds.has(Kinds::STRING) {
            self.longest = self.longest.max(characters(scalar.text));
        }
    }
}

fn characters(text: &[u8]) -> u64 {
    let is_start = |byte: &&u8| (**byte).cast_signed() >= -0x40;
    text.iter().filter(is_start).count() as u64
}

/// What is known of the values of one property.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Values that are not null, those that are like null words aside.
    pub(super) values: u64,
    pub(super) scalars: Scalars,
    pub(super) lists: u64,
    pub(super) items: Scalars,
    /// Values that no type can hold, and why the first is one.
    pub(super) refused: Option<(u64, String)>,
    /// How often each of the null words stands there.
    pub(super) words: [u64; super::sample::NULL_WORDS.len()],
    /// The different texts; none once there are too many.
    pub(super) members: Option<Vec<Box<[u8]>>>,
    pub(super) is_crowded: bool,
}

impl Facts {
    /// Keeps a text as a possible member of an enum.
    pub(super) fn keep(&mut self, text: &[u8]) {
        if self.is_crowded {
            return;
        }
        let members = self.members.get_or_insert_default();
        if members.iter().any(|member| **member == *text) {
            return;
        }
        if members.len() < MEMBERS_MAX && text.len() <= MEMBER_BYTES_MAX {
            members.push(text.into());
        } else {
            self.is_crowded = true;
            self.members = None;
        }
    }
}
