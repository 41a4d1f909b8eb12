//! Valid names out of any text.

use std::collections::HashSet;

use crate::schema::{NameError, PropertyName, SchemaName};

/// The longest name, with room for what makes it one of its own.
const LEN_MAX: usize = 56;

/// Letters, digits and single underscores in place of everything else; may be empty.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        if out.len() == LEN_MAX {
            break;
        }
    }
    out.truncate(out.trim_end_matches('_').len());
    out
}

/// Names of properties after any texts, all different, also in small letters. A text that is a
/// name already stays as it is, unless an earlier one is the same.
pub fn property_names(texts: &[&str]) -> Vec<PropertyName> {
    let mut taken = HashSet::new();
    let kept: Vec<Option<PropertyName>> = texts
        .iter()
        .map(|text| {
            let name = PropertyName::new(text).ok();
            name.filter(|_| taken.insert(text.to_ascii_lowercase()))
        })
        .collect();
    let names = texts.iter().zip(kept);
    names
        .map(|(text, kept)| kept.unwrap_or_else(|| new_name(text, &mut taken)))
        .collect()
}

/// A name like a text that is not taken yet; then it is.
fn new_name(text: &str, taken: &mut HashSet<String>) -> PropertyName {
    let mut wanted = plain(text);
    if wanted.is_empty() {
        "property".clone_into(&mut wanted);
    }
    if wanted.starts_with(|c: char| c.is_ascii_digit()) {
        wanted.insert(0, '_');
    }
    for number in 1_u32.. {
        let candidate = match number {
            1 => wanted.clone(),
            _ => format!("{wanted}_{number}"),
        };
        let name = match PropertyName::new(&candidate) {
            Err(NameError::Reserved(_)) => PropertyName::new(&format!("{candidate}_")),
            other => other,
        };
        if let Ok(name) = name
            && taken.insert(name.as_str().to_ascii_lowercase())
        {
            return name;
        }
    }
    unreachable!("some number was not used yet")
}

/// The name of a schema after any text, such as a file's.
///
/// # Panics
/// Never: the last candidate is always a name.
pub fn schema_name(text: &str) -> SchemaName {
    let plain = plain(text).to_ascii_lowercase();
    let plain = match plain.is_empty() {
        true => "records",
        false => &plain,
    };
    let candidates = [text, plain, &format!("{plain}_"), &format!("s_{plain}")];
    let name = candidates
        .iter()
        .find_map(|name| SchemaName::new(name).ok());
    name.expect("small letters, digits and _ behind s_ are a name")
}
