//! The parameters of a query, read strictly: each known, once, and of well-formed escapes.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::percent_decode;

use crate::problem::Problem;

/// Stands in a list of allowed names for all of the form `filter[…]`.
pub(crate) const SHORT_FILTERS: &str = "filter[";
/// More short filters than any limit on conditions allows.
const PARAMS_MAX: usize = 256;

/// The parameters of one query.
#[derive(Debug, Default)]
pub(crate) struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Params<'a> {
    /// Reads a query in which only `allowed` parameters may be, each at most once.
    pub(crate) fn read(query: Option<&'a str>, allowed: &[&'static str]) -> Result<Self, Problem> {
        let mut params = Self::default();
        let Some(query) = query else {
            return Ok(params);
        };
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(name, name)?;
            let short = name.starts_with(SHORT_FILTERS);
            let known = if short { SHORT_FILTERS } else { &*name };
            if !allowed.contains(&known) {
                return Err(unknown(&name, allowed));
            }
            if params.get(&name).is_some() {
                return Err(Problem::parameter(
                    &name,
                    format!("{name} is given more than once"),
                ));
            }
            if params.0.len() == PARAMS_MAX {
                let message = format!("a query has at most {PARAMS_MAX} parameters");
                return Err(Problem::parameter(&name, message));
            }
            let value = decode(value, &name)?;
            params.0.push((name, value));
        }
        Ok(params)
    }

    /// The value of a parameter, where it is given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| &**value)
    }

    /// All names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of a parameter that is a number.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        // `parse` takes a plus sign, which has no place here.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        let problem = || Problem::parameter(name, format!("{name} is a whole number"));
        number.map(Some).ok_or_else(problem)
    }

    /// The value of a parameter that is one of these words.
    pub(crate) fn word<T: Copy>(
        &self,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        one_of(name, text, words).map(Some)
    }

    /// The value of a parameter that is true or false.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.word(name, &[("true", true), ("false", false)])
    }
}

/// Reads a text as one of these words.
pub(crate) fn one_of<T: Copy>(name: &str, text: &str, words: &[(&str, T)]) -> Result<T, Problem> {
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Problem::parameter(name, format!("{name} is one of {}", words.join(", ")))
    })
}

/// Refuses a name that is not among those that may be there.
pub(crate) fn unknown(name: &str, allowed: &[&str]) -> Problem {
    let shown: String = name.chars().take(64).collect();
    let near = allowed
        .iter()
        .map(|word| (strsim::levenshtein(&shown, word), *word))
        .filter(|(edits, word)| *edits <= (word.len() / 3).max(1))
        .min();
    let message = match near {
        Some((_, word)) => format!("there is no parameter {shown}; did you mean {word}?"),
        None if allowed.is_empty() => format!("this route takes no parameters, not {shown}"),
        None => {
            let names = allowed
                .join(", ")
                .replace(SHORT_FILTERS, "filter[property]");
            format!("there is no parameter {shown}; there are {names}")
        }
    };
    Problem::parameter(&shown, message)
}

/// Decodes `%41` and `+`. What is no escape, or no UTF-8 in the end, is refused.
fn decode<'a>(text: &'a str, name: &str) -> Result<Cow<'a, str>, Problem> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Ok(Cow::Borrowed(text));
    }
    let broken = text.match_indices('%').any(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if broken {
        return Err(Problem::parameter(
            name,
            "% is followed by two hexadecimal digits",
        ));
    }
    let spaced = text.replace('+', " ");
    let bytes: Vec<u8> = percent_decode(spaced.as_bytes()).collect();
    let text = String::from_utf8(bytes);
    text.map(Cow::Owned)
        .map_err(|_| Problem::parameter(name, "the parameter is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::{Params, SHORT_FILTERS};

    const ALLOWED: [&str; 3] = ["page", "size", SHORT_FILTERS];

    #[track_caller]
    fn check(query: &str, expected: &[(&str, &str)]) {
        let params = Params::read(Some(query), &ALLOWED).unwrap();
        assert_eq!(params.iter().collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn check_refused(query: &str) {
        assert!(Params::read(Some(query), &ALLOWED).is_err(), "{query}");
    }

    #[test]
    fn what_is_well_formed_is_read() {
        check("", &[]);
        check("page=1&size=", &[("page", "1"), ("size", "")]);
        check("&page=%C3%A9+%2B&", &[("page", "é +")]);
        check(
            "filter%5Ba%5D=1&filter[b][gt]=2",
            &[("filter[a]", "1"), ("filter[b][gt]", "2")],
        );
    }

    #[test]
    fn what_is_not_is_refused() {
        for query in [
            "pages=1",
            "=1",
            "page=1&page=2",
            "page=%4",
            "page=%zz",
            "page=%ff",
            "%=1",
        ] {
            check_refused(query);
        }
    }

    #[test]
    fn numbers_have_digits_alone() {
        let params = Params::read(Some("page=%2B1&size=12"), &ALLOWED).unwrap();
        assert_eq!(params.number::<u64>("size").unwrap(), Some(12));
        assert!(params.number::<u64>("page").is_err());
    }
}
