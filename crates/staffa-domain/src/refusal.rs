//! Records that a write session must refuse, and what that does to the others.

use crate::error::{RecordError, RecordErrorCode, StorageError, UniqueViolation};
use crate::operation::WriteReceipt;

/// What a session does about a record that it must refuse: one whose unique value is taken,
/// or one without a match to change.
///
/// Records are judged in their order, each against what is stored and what the accepted ones
/// before it left; a refused one takes nothing. Of records with one key in one session an
/// engine may judge the last one alone, since only what that leaves is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRefusal {
    /// The session fails at the first one, and looks for no more.
    #[default]
    Fail,
    /// All are looked for. If there are any, the commit undoes the whole session and answers
    /// with them alone.
    Undo {
        /// How many are told; more are counted only.
        told_max: usize,
    },
    /// They are left out, and the others are stored.
    Skip {
        /// How many are told; more are counted only.
        told_max: usize,
    },
}

/// A record that a write session refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its index in the request.
    pub index: u64,
    /// The line on which it starts, where the format has lines.
    pub line: Option<u64>,
    /// Why.
    pub reason: RefusalReason,
}

/// Why a write session refused a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusalReason {
    /// Another record has the same values in these properties.
    Taken(Vec<String>),
    /// No record has its key.
    Missing,
}

impl Refusal {
    /// The errors of the record as the wire tells them: one for each property whose value is
    /// taken, or one for the whole record.
    pub fn errors(&self) -> Vec<RecordError> {
        let error = |pointer, code, message: &str| RecordError {
            index: self.index,
            line: self.line,
            pointer,
            code,
            message: message.to_owned(),
            value: None,
        };
        match &self.reason {
            RefusalReason::Taken(names) => {
                let message = format!(
                    "a record with the same {} exists, or came twice",
                    names.join(", ")
                );
                let code = RecordErrorCode::UniqueViolation;
                let each = names.iter();
                each.map(|name| error(format!("/{name}"), code, &message))
                    .collect()
            }
            RefusalReason::Missing => {
                let message = "there is no record with this key";
                let code = RecordErrorCode::RecordNotFound;
                vec![error(String::new(), code, message)]
            }
        }
    }
}

impl From<Refusal> for StorageError {
    /// The failure of a session that goes no further. A missing record is named by its index.
    fn from(refusal: Refusal) -> Self {
        match refusal.reason {
            RefusalReason::Taken(properties) => Self::UniqueViolation {
                violation: UniqueViolation {
                    index: Some(refusal.index),
                    line: refusal.line,
                    properties,
                },
            },
            RefusalReason::Missing => Self::RecordNotFound {
                operation: usize::try_from(refusal.index).unwrap_or(usize::MAX),
            },
        }
    }
}

/// The refusals of one session as its engine finds them, in the order of the request. What
/// they lead to is decided here, so that it is the same on every engine.
#[derive(Debug, Clone)]
pub struct Refusals {
    policy: OnRefusal,
    count: u64,
    told: Vec<Refusal>,
}

impl Refusals {
    /// None so far.
    pub const fn new(policy: OnRefusal) -> Self {
        Self {
            policy,
            count: 0,
            told: Vec::new(),
        }
    }

    /// Notes one; answers with the session's failure where the first one ends it.
    pub fn note(&mut self, refusal: Refusal) -> Result<(), StorageError> {
        let told_max = match self.policy {
            OnRefusal::Fail => return Err(refusal.into()),
            OnRefusal::Undo { told_max } | OnRefusal::Skip { told_max } => told_max,
        };
        self.count += 1;
        if self.told.len() < told_max {
            self.told.push(refusal);
        }
        Ok(())
    }

    /// Notes that there were so many more, of which no more is known.
    pub const fn note_more(&mut self, more: u64) {
        self.count += more;
    }

    /// How many more are told one by one.
    pub const fn room(&self) -> usize {
        match self.policy {
            OnRefusal::Fail => 1,
            OnRefusal::Undo { told_max } | OnRefusal::Skip { told_max } => {
                told_max.saturating_sub(self.told.len())
            }
        }
    }

    /// Whether the session is to be undone instead of committed.
    pub const fn undo(&self) -> bool {
        matches!(self.policy, OnRefusal::Undo { .. }) && self.count > 0
    }

    /// Completes a session's receipt. An undone session did nothing but refuse.
    #[must_use]
    pub fn complete(self, receipt: WriteReceipt) -> WriteReceipt {
        let done = if self.undo() {
            WriteReceipt::default()
        } else {
            receipt
        };
        WriteReceipt {
            refused: self.count,
            refusals: self.told,
            ..done
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OnRefusal, Refusal, RefusalReason, Refusals};
    use crate::error::StorageError;
    use crate::operation::WriteReceipt;

    fn missing(index: u64) -> Refusal {
        Refusal {
            index,
            line: None,
            reason: RefusalReason::Missing,
        }
    }

    fn noted(policy: OnRefusal) -> Refusals {
        let mut refusals = Refusals::new(policy);
        for index in [3, 5, 8] {
            refusals.note(missing(index)).unwrap();
        }
        refusals
    }

    #[test]
    fn the_first_fails_a_session_that_knows_no_better() {
        let error = Refusals::new(OnRefusal::Fail).note(missing(3)).unwrap_err();
        assert!(
            matches!(error, StorageError::RecordNotFound { operation: 3 }),
            "{error:?}"
        );
    }

    #[test]
    fn all_are_counted_and_the_first_told() {
        for (policy, inserted) in [
            (OnRefusal::Skip { told_max: 2 }, 7),
            (OnRefusal::Undo { told_max: 2 }, 0),
        ] {
            let done = WriteReceipt {
                inserted: 7,
                ..WriteReceipt::default()
            };
            let receipt = noted(policy).complete(done);
            assert_eq!((receipt.refused, receipt.inserted), (3, inserted));
            assert_eq!(receipt.refusals, [missing(3), missing(5)]);
        }
    }

    #[test]
    fn each_taken_property_is_an_error_of_its_own() {
        let names = ["a", "b"].map(str::to_owned).to_vec();
        let refusal = Refusal {
            line: Some(9),
            reason: RefusalReason::Taken(names),
            ..missing(4)
        };
        let places: Vec<_> = refusal
            .errors()
            .into_iter()
            .map(|e| (e.index, e.line, e.pointer))
            .collect();
        let expected = ["/a", "/b"].map(|pointer| (4, Some(9), pointer.to_owned()));
        assert_eq!(places, expected);
    }
}
