//! Texts with holes: an answer to the byte, but for what differs from run to run.

use std::collections::BTreeMap;

use uuid::Uuid;

/// What answers had in holes with a name.
pub(super) type Known = BTreeMap<String, String>;

/// Everything that may differ from run to run.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Id,
    Time,
    Milliseconds,
    Cursor,
}

impl Kind {
    const ALL: [(&str, Self); 4] = [
        ("id", Self::Id),
        ("time", Self::Time),
        ("ms", Self::Milliseconds),
        ("cursor", Self::Cursor),
    ];

    fn find(word: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(own, _)| *own == word);
        found.map(|(_, kind)| *kind)
    }

    /// How much of the start of a text is one of these; nothing where none stands there.
    fn len(self, text: &str) -> Option<usize> {
        let while_in = |also: &str| {
            text.find(|c: char| !c.is_ascii_digit() && !also.contains(c))
                .unwrap_or(text.len())
        };
        let len = match self {
            Self::Id => 36,
            Self::Time => while_in("-:.T") + 1,
            Self::Milliseconds => while_in("."),
            Self::Cursor => text
                .find(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c))
                .unwrap_or(text.len()),
        };
        let found = text.get(..len)?;
        let is_one = match self {
            Self::Id => found == Uuid::try_parse(found).ok()?.hyphenated().to_string(),
            Self::Time => is_time(found),
            Self::Milliseconds => found.parse::<f64>().is_ok(),
            Self::Cursor => !found.is_empty(),
        };
        is_one.then_some(len)
    }
}

/// `2026-01-31T10:00:00Z`, or with up to six digits more.
fn is_time(text: &str) -> bool {
    const FORM: &str = "0000-00-00T00:00:00.000000";
    let form: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let form = form.strip_suffix('Z');
    form.is_some_and(|form| FORM.starts_with(form) && (form.len() == 19 || form.len() > 20))
}

/// `<kind>`, `<name: kind>` or `<name>`.
struct Hole<'a> {
    start: usize,
    end: usize,
    name: Option<&'a str>,
    /// Absent where only what is known by the name will do.
    kind: Option<Kind>,
}

impl<'a> Hole<'a> {
    /// The first one of a text. What merely looks like one is text.
    fn first(text: &'a str, known: &Known) -> Option<Self> {
        text.match_indices('<').find_map(|(start, _)| {
            let (inner, _) = text[start + 1..].split_once('>')?;
            let (name, kind) = match (inner.split_once(": "), Kind::find(inner)) {
                (Some((name, word)), _) => (Some(name), Some(Kind::find(word)?)),
                (None, Some(kind)) => (None, Some(kind)),
                (None, None) => (known.contains_key(inner).then_some(Some(inner))?, None),
            };
            let end = start + inner.len() + 2;
            Some(Self {
                start,
                end,
                name,
                kind,
            })
        })
    }

    /// How much of the start of a text is what belongs here.
    fn len(&self, text: &str, known: &Known) -> Option<usize> {
        match (self.name.and_then(|name| known.get(name)), self.kind) {
            (Some(value), _) => text.starts_with(value.as_str()).then_some(value.len()),
            (None, Some(kind)) => kind.len(text),
            (None, None) => None,
        }
    }
}

/// Puts what is known into a request.
pub(super) fn fill(template: &str, known: &Known) -> String {
    known
        .iter()
        .fold(template.to_owned(), |text, (name, value)| {
            text.replace(&format!("<{name}>"), value)
        })
}

/// Compares a text with a template and answers it with its holes: equal for equal texts. A name
/// is kept, and has to be the same wherever it comes again.
///
/// # Errors
/// Where they part, for a person.
pub(super) fn redact(template: &str, text: &str, known: &mut Known) -> Result<String, String> {
    let (mut rest, mut left) = (text, template);
    let mut seen = String::new();
    loop {
        let hole = Hole::first(left, known);
        let literal = hole.as_ref().map_or(left, |hole| &left[..hole.start]);
        let Some(after) = rest.strip_prefix(literal) else {
            return Err(parted(&seen, left, rest));
        };
        seen.push_str(literal);
        rest = after;
        let Some(hole) = hole else { break };
        let shown = &left[hole.start..hole.end];
        let Some(len) = hole.len(rest, known) else {
            return Err(parted(&seen, shown, rest));
        };
        let (value, after) = rest.split_at(len);
        seen.push_str(shown);
        if let Some(name) = hole.name {
            known.insert(name.to_owned(), value.to_owned());
        }
        (rest, left) = (after, &left[hole.end..]);
    }
    if rest.is_empty() {
        Ok(seen)
    } else {
        Err(parted(&seen, "", rest))
    }
}

/// Takes ids, times and durations out of a text of which nothing is expected.
pub(super) fn blur(text: &str) -> String {
    const DURATIONS: [&str; 2] = ["\"execution_time_ms\":", "\"duration_ms\":"];
    let (mut out, mut rest) = (String::new(), text);
    while let Some(next) = rest.chars().next() {
        let is_duration = DURATIONS.iter().any(|name| out.ends_with(name));
        let (of_a_run, _) = Kind::ALL.split_at(if is_duration { 3 } else { 2 });
        let found = of_a_run
            .iter()
            .find_map(|(word, kind)| Some((word, kind.len(rest)?)));
        let len = if let Some((word, len)) = found {
            out.push_str(&format!("<{word}>"));
            len
        } else {
            out.push(next);
            next.len_utf8()
        };
        rest = &rest[len..];
    }
    out
}

/// Shows where two texts part that have begun alike.
fn parted(seen: &str, expected: &str, found: &str) -> String {
    const SHOWN: usize = 80;
    let same = expected
        .chars()
        .zip(found.chars())
        .take_while(|(one, other)| one == other);
    let same: String = same.map(|(one, _)| one).collect();
    let before: String = format!("{seen}{same}");
    let skipped = before.chars().count().saturating_sub(SHOWN);
    let before: String = before.chars().skip(skipped).collect();
    let next = |text: &str| text[same.len()..].chars().take(SHOWN).collect::<String>();
    format!(
        "after    {before}\nexpected {}\nfound    {}",
        next(expected),
        next(found)
    )
}

#[cfg(test)]
mod tests {
    use super::{Known, blur, fill, redact};

    #[track_caller]
    fn check(template: &str, text: &str, expected: Option<&str>) {
        let found = redact(template, text, &mut Known::new());
        assert_eq!(found.as_deref().ok(), expected, "{found:?}");
    }

    #[test]
    fn all_but_the_holes_is_compared_to_the_byte() {
        check("a", "a", Some("a"));
        check("a", "a ", None);
        check("a ", "a", None);
        check("<b> <", "<b> <", Some("<b> <"));
        check("t <ms> ms", "t 0.125 ms", Some("t <ms> ms"));
        check("t <ms> ms", "t  ms", None);
        check("\"<cursor>\"", "\"a-Z_9\"", Some("\"<cursor>\""));
        check("\"<cursor>\"", "null", None);
    }

    #[test]
    fn ids_and_times_have_one_form() {
        let id = "01970000-0000-7000-8000-00000000000a";
        check("<id>!", &format!("{id}!"), Some("<id>!"));
        check("<id>!", &format!("{}!", id.to_uppercase()), None);
        check("<id>", "é", None);
        for (time, holds) in [
            ("2026-01-31T10:00:00Z", true),
            ("2026-01-31T10:00:00.5Z", true),
            ("2026-01-31T10:00:00.000001Z", true),
            ("2026-01-31T10:00:00.Z", false),
            ("2026-01-31T10:00:00.0000001Z", false),
            ("2026-01-31T10:00:00", false),
            ("2026-01-31", false),
        ] {
            check("<time>", time, holds.then_some("<time>"));
        }
    }

    #[test]
    fn a_name_stands_for_one_value() {
        let template = "<made: time> <made>";
        let time = "2026-01-31T10:00:00Z";
        check(template, &format!("{time} {time}"), Some(template));
        check(template, &format!("{time} 2026-01-31T10:00:01Z"), None);
        let mut known = Known::new();
        redact("<made: time>", time, &mut known).unwrap();
        assert_eq!(
            fill("?at=<made>&<other>", &known),
            format!("?at={time}&<other>")
        );
    }

    #[test]
    fn a_blurred_text_keeps_all_but_ids_times_and_durations() {
        let text = "é /01970000-0000-7000-8000-00000000000a at 2026-01-31T10:00:00Z, \
                    {\"size\":10,\"execution_time_ms\":0.125}";
        let blurred = "é /<id> at <time>, {\"size\":10,\"execution_time_ms\":<ms>}";
        assert_eq!(blur(text), blurred);
    }
}
