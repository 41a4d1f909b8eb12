//! The names a user may give, checked once where they are made.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A schema's name breaks its rule.
    #[error("a schema name starts with a lower-case letter and has up to 63 of a-z, 0-9 and _")]
    Schema,
    /// A property's name breaks its rule.
    #[error("a property name starts with a letter or _ and has up to 63 of a-z, A-Z, 0-9 and _")]
    Property,
    /// The name is taken by the server itself.
    #[error("the name {0} is reserved")]
    Reserved(String),
}

/// The longest name, in bytes.
const NAME_LEN_MAX: usize = 63;

/// A schema's name: `^[a-z][a-z0-9_]{0,62}$`, and not `bulk`; or one of the program's own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaName(Arc<str>);

/// A property's name: `^[A-Za-z_][A-Za-z0-9_]{0,62}$`, and no system field's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PropertyName(Arc<str>);

impl SchemaName {
    /// Checks a text and makes it a name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
        let rest = text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if !starts || !rest || text.len() > NAME_LEN_MAX {
            return Err(NameError::Schema);
        }
        if text == "bulk" {
            // `POST /records/bulk` is a route.
            return Err(NameError::Reserved(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The name of a schema that the program keeps for itself, `^_[a-z0-9_]{1,62}$`, which no
    /// user can have.
    pub fn internal(text: &str) -> Result<Self, NameError> {
        let rest = text.strip_prefix('_').ok_or(NameError::Schema)?;
        let is_plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if rest.is_empty() || text.len() > NAME_LEN_MAX || !rest.bytes().all(is_plain) {
            return Err(NameError::Schema);
        }
        Ok(Self(text.into()))
    }

    /// Whether a schema of this name is the program's own.
    pub fn is_internal(text: &str) -> bool {
        text.starts_with('_')
    }
}

impl PropertyName {
    /// The names no property may take.
    pub const RESERVED: [&str; 5] = ["id", "schema_name", "created_at", "updated_at", "version"];

    /// Checks a text and makes it a name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !starts || !rest || text.len() > NAME_LEN_MAX {
            return Err(NameError::Property);
        }
        if Self::RESERVED.contains(&text) {
            return Err(NameError::Reserved(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

macro_rules! name_text {
    ($name:ident) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_text!(SchemaName);
name_text!(PropertyName);
