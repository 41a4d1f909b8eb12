//! From facts to a schema, and a remark beside each guess.

use super::facts::{Facts, Marks, Scalar};
use super::keys::Prints;
use super::kinds::Kinds;
use super::names::{property_names, schema_name};
use super::remark::{Remark, RemarkCode, shown};
use super::sample::{NULL_WORDS, Observed, Sample};
use super::types::type_of;
use crate::schema::{Property, PropertyName, PropertyType, Schema};

/// The fewest rows a value must come in, on average, for its texts to be like an enum.
const ROWS_PER_MEMBER_MIN: u64 = 5;
/// The fewest values that an index is worth, and the part of the rows that one may pick.
const INDEX_VALUES_MIN: usize = 50;
const INDEX_PART: u64 = 50;

/// A schema after a sample, and what is to be told of it.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The schema, which accepts every readable row of the sample unless a remark is of a
    /// [`Conflict`](RemarkCode::Conflict) or says that a property was
    /// [`Renamed`](RemarkCode::Renamed).
    pub schema: Schema,
    /// The text that stands for null in the sample, where nobody said so.
    pub null_value: Option<&'static str>,
    /// Rows that were read.
    pub rows: u64,
    /// Rows that cannot be read, whatever the schema.
    pub unreadable: u64,
    /// Whether the sample went on.
    pub truncated: bool,
    /// What is to be told: of the whole first, then property by property.
    pub remarks: Vec<Remark>,
}

impl Proposal {
    /// What keeps the sample from being stored under the schema as it is.
    pub fn obstacles(&self) -> impl Iterator<Item = &Remark> {
        let is_one = |remark: &&Remark| {
            matches!(remark.code, RemarkCode::Conflict | RemarkCode::Renamed)
                && (remark.property.is_some() || remark.code == RemarkCode::Conflict)
        };
        self.remarks.iter().filter(is_one)
    }
}

impl Sample {
    /// Proposes a schema of that name, or one like it.
    pub fn propose(mut self, name: &str) -> Proposal {
        let null_word = self.null_word_meant();
        for observed in &mut self.properties {
            settle_words(&mut observed.facts, null_word);
        }
        let mut told = Vec::new();
        let schema_name = schema_name(name);
        if schema_name.as_str() != name {
            let message = format!("{} is called {schema_name} here", shown(name));
            told.push((None, RemarkCode::Renamed, message));
        }
        self.tell_rows(null_word, &mut told);
        let mut properties = Vec::with_capacity(self.properties.len());
        let sources: Vec<&str> = self.properties.iter().map(|one| &*one.name).collect();
        let names = property_names(&sources);
        for (at, (observed, name)) in self.properties.iter().zip(names).enumerate() {
            let mut tell = |code, message: String| told.push((Some(at), code, message));
            if name.as_str() != observed.name {
                tell(
                    RemarkCode::Renamed,
                    format!("was {}", shown(&observed.name)),
                );
            }
            properties.push(self.proposed(&observed.facts, name, null_word, &mut tell));
        }
        self.tell_prints(null_word, &properties, &mut told);
        // Stable: what is told of a property stays in its order.
        told.sort_by_key(|(at, ..)| at.map_or(0, |at| at + 1));
        let remark = |(property, code, message)| Remark {
            property,
            code,
            message,
        };
        Proposal {
            schema: Schema::new(schema_name, properties),
            null_value: null_word.map(|word| NULL_WORDS[word]),
            rows: self.rows,
            unreadable: self.unreadable,
            truncated: self.is_cut,
            remarks: told.into_iter().map(remark).collect(),
        }
    }

    /// The null word without which most values that are no texts would have to be texts.
    fn null_word_meant(&self) -> Option<usize> {
        let mut votes = [0_u64; NULL_WORDS.len()];
        for Observed { facts, .. } in &self.properties {
            let is_text = matches!(type_of(facts), Ok((PropertyType::String, _)) | Err(_));
            if facts.values > 0 && !is_text {
                let pairs = votes.iter_mut().zip(facts.words);
                pairs.for_each(|(votes, count)| *votes += count);
            }
        }
        let most = votes.into_iter().max().filter(|most| *most > 0)?;
        votes.iter().position(|count| *count == most)
    }

    fn tell_rows(&self, null_word: Option<usize>, told: &mut Vec<Told>) {
        let mut tell = |code, message| told.push((None, code, message));
        let more = match self.is_cut {
            true => "; there are more",
            false => "",
        };
        tell(RemarkCode::Rows, format!("after {} rows{more}", self.rows));
        if let Some(why) = &self.first_unreadable {
            let count = self.unreadable;
            let message = format!("{count} rows cannot be read; the first: {}", shown(why));
            tell(RemarkCode::Unreadable, message);
        }
        if let Some(word) = null_word {
            let word = NULL_WORDS[word];
            let message = format!("{word} stands for null: import with --null-value '{word}'");
            tell(RemarkCode::NullValue, message);
        }
        if self.has_more {
            let message = "there are more properties than a schema may have".to_owned();
            tell(RemarkCode::Conflict, message);
        }
    }

    fn proposed(
        &self,
        facts: &Facts,
        name: PropertyName,
        null_word: Option<usize>,
        tell: &mut dyn FnMut(RemarkCode, String),
    ) -> Property {
        let kind = match type_of(facts) {
            Ok((kind, note)) => {
                if let Some(note) = note {
                    tell(RemarkCode::Decimal, note);
                }
                kind
            }
            Err(why) => {
                tell(RemarkCode::Conflict, why);
                PropertyType::String
            }
        };
        if facts.values == 0 {
            tell(RemarkCode::NoValues, "no value was seen".to_owned());
        }
        let nulls = self.rows.saturating_sub(facts.values);
        if nulls > 0 && facts.values > 0 {
            tell(RemarkCode::Nulls, format!("null in {nulls} rows"));
        }
        for (at, count) in facts.words.into_iter().enumerate() {
            if count > 0 && null_word != Some(at) {
                let word = NULL_WORDS[at];
                let message = format!(
                    "{word} in {count} rows, kept as text: null, with --null-value '{word}'"
                );
                tell(RemarkCode::NullValue, message);
            }
        }
        tell_form(facts, &kind, tell);
        Property {
            required: nulls == 0 && self.rows > 0,
            ..Property::new(name, kind)
        }
    }

    /// Tells which properties might be keys, and which might be worth an index.
    fn tell_prints(&self, null_word: Option<usize>, properties: &[Property], told: &mut Vec<Told>) {
        let prints = Prints::new(self, null_word);
        let part = match prints.rows() as u64 == self.rows {
            true => "in the sample".to_owned(),
            false => format!("in the first {} rows", prints.rows()),
        };
        let mut together = Vec::new();
        let mut has_key = false;
        for (at, property) in properties.iter().enumerate() {
            if !is_key_like(&property.property_type) {
                continue;
            }
            let distinct = prints.distinct(at);
            if property.required && prints.is_unique(distinct) {
                let message = format!("unique {part}: candidate for primary_key");
                told.push((Some(at), RemarkCode::Key, message));
                has_key = true;
                continue;
            }
            let is_selective = matches!(
                property.property_type,
                PropertyType::String | PropertyType::Uuid
            ) && distinct >= INDEX_VALUES_MIN
                && prints.rows() as u64 / distinct.max(1) as u64 * INDEX_PART
                    <= prints.rows() as u64;
            if is_selective {
                let message = format!("{distinct} values {part}: candidate for indexed");
                told.push((Some(at), RemarkCode::Index, message));
            }
            if property.required && distinct > 1 {
                together.push((at, distinct));
            }
        }
        if has_key {
            return;
        }
        for group in prints.combinations(&together) {
            let names: Vec<&str> = group
                .iter()
                .map(|at| properties[*at].name.as_str())
                .collect();
            let names = names.join(", ");
            let message = format!("[{names}] is unique {part}: candidate for primary_key");
            told.push((None, RemarkCode::Key, message));
        }
    }
}

/// The property, the kind of remark and its text.
type Told = (Option<usize>, RemarkCode, String);

const fn is_key_like(kind: &PropertyType) -> bool {
    matches!(
        kind,
        PropertyType::String
            | PropertyType::Integer
            | PropertyType::Date
            | PropertyType::Datetime
            | PropertyType::Uuid
    )
}

/// Makes null words texts where they do not stand for null.
fn settle_words(facts: &mut Facts, null_word: Option<usize>) {
    for (at, count) in facts.words.into_iter().enumerate() {
        if count == 0 || null_word == Some(at) {
            continue;
        }
        let word = Scalar::new(Kinds::STRING, NULL_WORDS[at].as_bytes());
        facts.scalars.see(&word);
        facts.scalars.count += count - 1;
        facts.values += count;
        facts.keep(word.text);
    }
}

/// Tells how values are written, as far as it matters.
fn tell_form(facts: &Facts, kind: &PropertyType, tell: &mut dyn FnMut(RemarkCode, String)) {
    let scalars = &facts.scalars;
    if *kind == PropertyType::Datetime && scalars.any.has(Marks::NO_OFFSET) {
        let message = "moments without an offset are taken as UTC".to_owned();
        tell(RemarkCode::Format, message);
    }
    if *kind != PropertyType::String || scalars.count == 0 {
        return;
    }
    let form = if scalars.every.has(Marks::OTHER_DATE) {
        Some("like dates, which are read as 2013-01-31 alone: kept as text")
    } else if scalars.every.has(Marks::OTHER_BOOLEAN) {
        Some("like booleans, which are read as true and false alone: kept as text")
    } else if scalars.every.has(Marks::DIGITS) && scalars.any.has(Marks::LEADING_ZERO) {
        Some("leading zeros, which a number would lose: kept as text")
    } else {
        None
    };
    if let Some(form) = form {
        tell(RemarkCode::Format, form.to_owned());
    }
    let longest = scalars.longest;
    tell(RemarkCode::Length, format!("at most {longest} characters"));
    if let Some(members) = facts.members.as_ref()
        && members.len() > 1
        && facts.values >= members.len() as u64 * ROWS_PER_MEMBER_MIN
    {
        let mut members: Vec<String> = members
            .iter()
            .map(|member| shown(&String::from_utf8_lossy(member)))
            .collect();
        members.sort_unstable();
        let message = format!("candidate for enum: [{}]", members.join(", "));
        tell(RemarkCode::Enum, message);
    }
}
