//! What the client would like (RFC 7240): to be answered before the work is done, or to be kept
//! waiting until it is. What is not known is left aside, as the standard has it.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Whether the answer may come before the work is done.
pub(crate) fn responds_async(headers: &HeaderMap) -> bool {
    preferences(headers).any(|(name, _)| name.eq_ignore_ascii_case("respond-async"))
}

/// How many seconds the client would wait; the first of several counts.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let mut waits = preferences(headers).filter(|(name, _)| name.eq_ignore_ascii_case("wait"));
    let (_, seconds) = waits.next()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// Each preference with its value, without its parameters.
fn preferences(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lists = headers
        .get_all(PREFER)
        .into_iter()
        .filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(|one| {
        let one = one.split(';').next().unwrap_or_default();
        let (name, value) = one.split_once('=').unwrap_or((one, ""));
        (name.trim(), value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue};

    use super::{PREFER, responds_async, wait};

    #[track_caller]
    fn check(lists: &[&str], is_async: bool, seconds: Option<u64>) {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(PREFER, HeaderValue::from_str(list).unwrap());
        }
        assert_eq!(responds_async(&headers), is_async, "{lists:?}");
        assert_eq!(
            wait(&headers),
            seconds.map(Duration::from_secs),
            "{lists:?}"
        );
    }

    #[test]
    fn preferences_are_found_among_others() {
        check(&[], false, None);
        check(&["respond-async"], true, None);
        check(&["Respond-Async; x=1, wait=10"], true, Some(10));
        check(
            &["return=minimal", "wait=\"5\", respond-async"],
            true,
            Some(5),
        );
        check(&["respond-asynchronously", "wait=-1", "wait"], false, None);
    }
}
