//! What the client wants the answer to be (RFC 9110 §12.5.1).

use http::HeaderValue;

use crate::problem::{Code, Problem};

/// Whether one of the media types is acceptable.
pub(crate) fn accepts(header: Option<&HeaderValue>, types: &[&str]) -> bool {
    let Some(text) = asked(header) else {
        return true;
    };
    text == "*/*" || types.iter().any(|kind| weight(text, kind) > 0)
}

/// What is asked for. No header, one without a word, and one that cannot be read take anything.
fn asked(header: Option<&HeaderValue>) -> Option<&str> {
    let text = header?.to_str().ok()?.trim();
    (!text.is_empty()).then_some(text)
}

/// The media type that the client likes best, the first of equals.
pub(crate) fn best<T: Copy>(header: Option<&HeaderValue>, types: &[(&str, T)]) -> Option<T> {
    let Some(text) = asked(header) else {
        return types.first().map(|(_, first)| *first);
    };
    let mut found = None;
    let mut highest = 0;
    for (kind, value) in types {
        let weight = weight(text, kind);
        if weight > highest {
            highest = weight;
            found = Some(*value);
        }
    }
    found
}

pub(crate) fn refuse(types: &[&str]) -> Problem {
    let detail = format!("this route answers with {}", types.join(" or "));
    Problem::new(Code::NOT_ACCEPTABLE, detail)
}

/// The weight of a media type in thousandths: that of the most specific range it falls in.
fn weight(header: &str, kind: &str) -> u32 {
    let family = kind.split('/').next().unwrap_or_default();
    let mut found = (0, 0);
    for range in header.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let precision = if name.eq_ignore_ascii_case(kind) {
            3
        } else if name
            .strip_suffix("/*")
            .is_some_and(|of| of.eq_ignore_ascii_case(family))
        {
            2
        } else if name == "*/*" {
            1
        } else {
            continue;
        };
        if precision > found.0 {
            found = (precision, quality(parts));
        }
    }
    found.1
}

fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> u32 {
    let text = parameters.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
    match text.map(str::parse::<f32>) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the value was clamped"
        )]
        Some(Ok(weight)) => (weight.clamp(0.0, 1.0) * 1_000.0) as u32,
        _ => 1_000,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::{accepts, best};

    #[track_caller]
    fn check(header: &str, expected: bool) {
        let header = HeaderValue::from_str(header).unwrap();
        assert_eq!(accepts(Some(&header), &["application/json"]), expected);
    }

    #[test]
    fn ranges_and_weights() {
        check("application/json", true);
        check("Application/JSON; charset=utf-8", true);
        check("application/*;q=0.1", true);
        check("text/html, */*;q=0.8", true);
        check("", true);
        check("text/html", false);
        check("application/json;q=0, */*", false);
        check("application/jsonx", false);
    }

    #[test]
    fn the_heaviest_wins() {
        let types = [("application/x-ndjson", 1), ("text/csv", 2)];
        let header = HeaderValue::from_static("application/x-ndjson;q=0.5, text/csv");
        assert_eq!(best(Some(&header), &types), Some(2));
        let header = HeaderValue::from_static("*/*");
        assert_eq!(best(Some(&header), &types), Some(1));
        let header = HeaderValue::from_static("image/png");
        assert_eq!(best(Some(&header), &types), None);
        assert_eq!(best(None, &types), Some(1));
        let header = HeaderValue::from_static("");
        assert_eq!(best(Some(&header), &types), Some(1));
    }
}
