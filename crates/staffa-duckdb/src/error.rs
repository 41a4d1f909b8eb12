//! What an engine error means, read off its text in one place: it carries no type.

use std::fmt;

use duckdb::Error;
use staffa_domain::StorageError;
use staffa_domain::error::Unavailable;

/// What an engine error means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// A unique value or an id is taken.
    Constraint,
    /// Another transaction got in the way; this one is rolled back.
    Conflict,
    /// The query was interrupted, by its time limit or by us.
    Interrupted,
    /// A query needs more memory than it may use.
    OutOfMemory,
    /// No room is left on disk.
    StorageFull,
    /// The disk refuses a read or a write.
    Disk,
    /// What was found takes more bytes than this.
    TooLarge(u64),
    /// A figure is beyond what its type can hold.
    OutOfRange,
    /// A table or a column is not there.
    Missing,
    /// The commit stands, but the checkpoint after it failed and the engine is unusable.
    DurableButInvalid,
    /// The engine is unusable until it is opened again.
    Fatal,
    /// Anything else: a bug of ours, or an input fault below us.
    Other,
}

/// An engine error with its class. The text is for the log alone: it holds values of records.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// What it means.
    pub(crate) class: Class,
    /// The engine's words.
    pub(crate) text: String,
}

/// Reads the class off the engine's words. Order matters: the fatal class hides others.
fn classify(text: &str) -> Class {
    if text.contains("COMMIT succeeded and is durable") {
        return Class::DurableButInvalid;
    }
    if text.starts_with("FATAL Error") || text.starts_with("INTERNAL Error") {
        return Class::Fatal;
    }
    if text.contains("No space left on device") {
        return Class::StorageFull;
    }
    if text.contains("Input/output error") {
        return Class::Disk;
    }
    let of_prefix = [
        ("Constraint Error", Class::Constraint),
        ("INTERRUPT Error", Class::Interrupted),
        ("Out of Memory Error", Class::OutOfMemory),
        ("Out of Range Error", Class::OutOfRange),
        ("Conversion Error", Class::OutOfRange),
        ("Catalog Error", Class::Missing),
        ("Binder Error", Class::Missing),
    ];
    for (prefix, class) in of_prefix {
        if text.starts_with(prefix) {
            return class;
        }
    }
    // A commit and an appender wrap the words of another class without its prefix.
    if text.starts_with("TransactionContext Error") || text.starts_with("Failed to append") {
        return classify_wrapped(text);
    }
    Class::Other
}

fn classify_wrapped(text: &str) -> Class {
    let of_words = [
        ("uplicate key", Class::Constraint),
        ("constraint violat", Class::Constraint),
        ("onflict", Class::Conflict),
        ("has been altered", Class::Conflict),
        ("Interrupted", Class::Interrupted),
        ("emory", Class::OutOfMemory),
    ];
    let found = of_words.iter().find(|(words, _)| text.contains(words));
    found.map_or(Class::Other, |(_, class)| *class)
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::of(match error {
            Error::DuckDBFailure(_, Some(text)) => text,
            other => other.to_string(),
        })
    }
}

impl Fault {
    /// What the engine's words say.
    pub(crate) fn of(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            class: classify(&text),
            text,
        }
    }

    /// A fault of our own making.
    pub(crate) fn bug(text: impl Into<String>) -> Self {
        Self {
            class: Class::Other,
            text: text.into(),
        }
    }

    /// An answer that takes more bytes than it may.
    pub(crate) fn too_large(bytes_max: u64) -> Self {
        Self {
            class: Class::TooLarge(bytes_max),
            text: format!("an answer takes more than {bytes_max} bytes"),
        }
    }

    /// What a caller is told. Only the engine answers with it, since it must notice what a fault
    /// says of itself.
    pub(crate) fn into_storage_error(self) -> StorageError {
        match self.class {
            Class::Conflict => StorageError::Conflict,
            Class::Interrupted => StorageError::Timeout,
            Class::OutOfMemory => StorageError::Unavailable(Unavailable::OutOfMemory),
            Class::StorageFull => StorageError::StorageFull,
            Class::TooLarge(bytes_max) => StorageError::AnswerTooLarge { bytes_max },
            Class::OutOfRange => StorageError::Unsupported("a figure is out of range".to_owned()),
            Class::Disk => {
                tracing::error!(error = %self.text, "the disk fails");
                StorageError::Unavailable(Unavailable::Reopening)
            }
            Class::DurableButInvalid | Class::Fatal => {
                tracing::error!(error = %self.text, "the engine is unusable");
                StorageError::Unavailable(Unavailable::Reopening)
            }
            Class::Constraint | Class::Missing | Class::Other => StorageError::internal(self),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

impl From<arrow_schema::ArrowError> for Fault {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::bug(error.to_string())
    }
}

#[cfg(test)]
mod tests;
