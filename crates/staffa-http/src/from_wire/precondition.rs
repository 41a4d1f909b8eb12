//! Entity tags and the conditions on them (RFC 9110 §13). A record's tag is its version.

use axum::extract::FromRequestParts;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use staffa_app::Precondition;

use crate::problem::Problem;

/// A version that no record has: what a tag that cannot match stands for.
const NO_VERSION: i64 = 0;

/// What a change insists on.
pub(crate) struct Insists(pub(crate) Precondition);

impl<S: Send + Sync> FromRequestParts<S> for Insists {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let precondition = match tags(&parts.headers, &IF_MATCH)? {
            None if tags(&parts.headers, &IF_NONE_MATCH)?.is_some_and(|tags| tags.any) => {
                Precondition::Absent
            }
            None => Precondition::None,
            Some(tags) if tags.any => Precondition::None,
            Some(tags) => {
                // A weak tag never matches here: the comparison is the strong one.
                let strong = tags.listed.into_iter().filter(|tag| !tag.weak);
                let mut versions: Vec<i64> = strong.map(|tag| tag.version).collect();
                if versions.is_empty() {
                    versions.push(NO_VERSION);
                }
                Precondition::Versions(versions)
            }
        };
        Ok(Self(precondition))
    }
}

/// What the reader has already.
pub(crate) struct Known(Option<Tags>);

impl Known {
    /// Whether the reader has this version, so that it need not be sent.
    pub(crate) fn has(&self, version: i64) -> bool {
        let Some(tags) = &self.0 else { return false };
        tags.any || tags.listed.iter().any(|tag| tag.version == version)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        tags(&parts.headers, &IF_NONE_MATCH).map(Self)
    }
}

#[derive(Debug, Default, PartialEq)]
struct Tags {
    any: bool,
    listed: Vec<Tag>,
}

#[derive(Debug, PartialEq)]
struct Tag {
    weak: bool,
    version: i64,
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let mut tags = None;
    for value in headers.get_all(name) {
        let text = value.to_str().ok();
        let read = text.and_then(|text| read(text, tags.get_or_insert_default()));
        read.ok_or_else(|| {
            let message = format!("{name} is * or a list of entity tags, each in quotes");
            Problem::parameter(name.as_str(), message)
        })?;
    }
    Ok(tags)
}

/// Reads `*` or `"1", W/"2"`. A tag that we never gave out stands for no version.
fn read(text: &str, tags: &mut Tags) -> Option<()> {
    let mut rest = text.trim();
    if rest == "*" {
        tags.any = true;
        return Some(());
    }
    loop {
        let unquoted = rest.strip_prefix("W/");
        let weak = unquoted.is_some();
        let (tag, after) = unquoted
            .unwrap_or(rest)
            .strip_prefix('"')?
            .split_once('"')?;
        let version = tag
            .parse()
            .ok()
            .filter(|_| tag.bytes().all(|b| b.is_ascii_digit()));
        tags.listed.push(Tag {
            weak,
            version: version.unwrap_or(NO_VERSION),
        });
        rest = after.trim_start();
        if rest.is_empty() {
            return Some(());
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::{Tag, Tags, read};

    #[track_caller]
    fn check(text: &str, expected: Option<&[(bool, i64)]>) {
        let mut tags = Tags::default();
        let done = read(text, &mut tags).map(|()| tags.listed);
        let expected = expected.map(|tags| {
            tags.iter()
                .map(|&(weak, version)| Tag { weak, version })
                .collect::<Vec<_>>()
        });
        assert_eq!(done, expected, "{text}");
    }

    #[test]
    fn lists_weak_tags_and_foreign_ones() {
        check(r#""1""#, Some(&[(false, 1)]));
        check(
            r#" "1" , W/"2","x,y" "#,
            Some(&[(false, 1), (true, 2), (false, 0)]),
        );
        check(r#""+1""#, Some(&[(false, 0)]));
        check("*", Some(&[]));
        for broken in [
            "",
            "1",
            "\"1",
            "\"1\" \"2\"",
            "\"1\",",
            "w/\"1\"",
            "*, \"1\"",
        ] {
            check(broken, None);
        }
    }
}
