//! Which properties the records of a batch give at all, where they need not give all.

use arrow_array::{Array, BooleanArray};
use arrow_select::filter::filter;

/// Which records of a batch give one property. A property that is given may be null; one
/// that is not is null in its array and means nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// Every record.
    All,
    /// No record.
    None,
    /// Those that are marked; at least one is, and at least one is not.
    Some(BooleanArray),
}

impl Given {
    /// One mark a record.
    pub fn from_marks(marks: BooleanArray) -> Self {
        match marks.true_count() {
            0 => Self::None,
            count if count == marks.len() => Self::All,
            _ => Self::Some(marks),
        }
    }

    /// Whether a record gives the property.
    pub fn by(&self, row: usize) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Some(marks) => marks.value(row),
        }
    }

    /// The same for the records that a mask of equal length keeps.
    pub(crate) fn keep(&self, mask: &BooleanArray) -> Self {
        match self {
            Self::Some(marks) => {
                let kept = filter(marks, mask).expect("a mask of equal length");
                Self::from_marks(BooleanArray::from(kept.to_data()))
            }
            same => same.clone(),
        }
    }
}
