//! `{"$ref": "name.id"}`, which stands for a value of an earlier result.

use std::borrow::Cow;

use super::read_text;
use crate::decode::cursor::Cursor;
use crate::decode::frame::Framer;
use crate::decode::merge::members;
use crate::document::{item, step};

const REF: &[u8] = b"$ref";

/// A reference that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// A JSON pointer to it.
    pub pointer: String,
    /// Why.
    pub message: String,
}

/// Puts values in the place of all references in a JSON value that was read before. `resolve`
/// answers the JSON text of what a path such as `order.id` points at, or why there is none.
/// An object with other members besides `$ref` is none.
pub fn resolve_references<'a>(
    value: &'a [u8],
    resolve: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<Cow<'a, [u8]>, Unresolved> {
    // A name may be written with escapes, which then hide the word.
    if memchr::memmem::find(value, REF).is_none() && memchr::memmem::find(value, b"\\u").is_none() {
        return Ok(Cow::Borrowed(value));
    }
    let mut copier = Copier {
        cursor: Cursor::new(value, 0),
        out: Vec::with_capacity(value.len()),
        resolve,
    };
    copier.value("")?;
    Ok(Cow::Owned(copier.out))
}

/// The text of a member of a JSON object that was read before, by a path such as `data.name`.
pub fn find_member<'a>(object: &'a [u8], path: &str) -> Option<&'a [u8]> {
    path.split('.').try_fold(object, |value, name| {
        if value.first() != Some(&b'{') {
            return None;
        }
        let found = members(value).into_iter();
        let mut found = found.filter(|member| member.name == name.as_bytes());
        found.next().map(|member| member.value)
    })
}

/// Copies a value. It recurses as deep as the value nests, which its reader has bounded.
struct Copier<'a, 'r> {
    cursor: Cursor<'a>,
    out: Vec<u8>,
    resolve: &'r mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
}

impl Copier<'_, '_> {
    fn value(&mut self, pointer: &str) -> Result<(), Unresolved> {
        self.cursor.skip_space();
        match self.cursor.peek() {
            Ok(b'{') => match self.reference() {
                Some(path) => {
                    let resolved = (self.resolve)(&path).map_err(|message| Unresolved {
                        pointer: pointer.to_owned(),
                        message,
                    })?;
                    self.out.extend_from_slice(&resolved);
                    Ok(())
                }
                None => self.object(pointer),
            },
            Ok(b'[') => self.list(pointer),
            _ => {
                self.scalar();
                Ok(())
            }
        }
    }

    /// Reads past a reference, if there is one.
    fn reference(&mut self) -> Option<String> {
        let rest = &self.cursor.bytes[self.cursor.at..];
        let len = Framer::default().scan(rest)?;
        let found = members(&rest[..len]);
        let [only] = found.as_slice() else {
            return None;
        };
        let path = (only.name == REF).then(|| read_text(only.value))??;
        self.cursor.at += len;
        Some(path)
    }

    fn object(&mut self, pointer: &str) -> Result<(), Unresolved> {
        self.punctuation();
        self.cursor.skip_space();
        while let Ok(b'"') = self.cursor.peek() {
            let start = self.cursor.at;
            self.scalar();
            let name = read_text(&self.cursor.bytes[start..self.cursor.at]);
            // The colon, the value, and a comma or the end.
            self.punctuation();
            self.value(&step(pointer, &name.unwrap_or_default()))?;
            if self.ends() {
                return Ok(());
            }
        }
        self.punctuation();
        Ok(())
    }

    fn list(&mut self, pointer: &str) -> Result<(), Unresolved> {
        self.punctuation();
        self.cursor.skip_space();
        if self.cursor.peek() == Ok(b']') {
            self.punctuation();
            return Ok(());
        }
        for index in 0.. {
            self.value(&item(pointer, index))?;
            if self.ends() {
                break;
            }
        }
        Ok(())
    }

    /// Copies a comma or a closing bracket; whether it was the latter.
    fn ends(&mut self) -> bool {
        self.cursor.skip_space();
        let is_comma = self.cursor.peek() == Ok(b',');
        self.punctuation();
        self.cursor.skip_space();
        !is_comma
    }

    fn punctuation(&mut self) {
        self.cursor.skip_space();
        if let Ok(byte) = self.cursor.peek() {
            self.out.push(byte);
            self.cursor.at += 1;
        }
    }

    fn scalar(&mut self) {
        let rest = &self.cursor.bytes[self.cursor.at..];
        let len = Framer::default().scan(rest).unwrap_or(rest.len());
        self.out.extend_from_slice(&rest[..len]);
        self.cursor.at += len;
    }
}
