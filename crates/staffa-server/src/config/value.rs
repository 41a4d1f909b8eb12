//! A setting's value: from the text that a user writes, and back to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use staffa_telemetry::logs;

use crate::config::setting::Kind;
use crate::config::storage;

/// A value of the kind that its setting takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Of [`Kind::Address`].
    Address(SocketAddr),
    /// Of [`Kind::Path`].
    Path(PathBuf),
    /// Of the kinds that are texts.
    Text(String),
    /// Of [`Kind::Flag`].
    Flag(bool),
    /// Of [`Kind::Count`].
    Count(u64),
    /// Of [`Kind::Bytes`].
    Bytes(u64),
    /// Of [`Kind::Duration`].
    Duration(Duration),
}

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

const SPANS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

impl Kind {
    /// Reads a value; `None` when the text is no such value.
    pub(crate) fn read(self, text: &str) -> Option<Value> {
        match self {
            Self::Address => read_address(text).map(Value::Address),
            Self::Path => (!text.is_empty()).then(|| Value::Path(PathBuf::from(text))),
            Self::LogFilter => {
                let is_filter = !text.trim().is_empty() && logs::check_filter(text).is_ok();
                is_filter.then(|| Value::Text(text.to_owned()))
            }
            Self::Secret => (!text.trim().is_empty()).then(|| Value::Text(text.to_owned())),
            Self::Storage => storage::is_engine(text).then(|| Value::Text(text.to_owned())),
            Self::Flag => match text {
                "true" => Some(Value::Flag(true)),
                "false" => Some(Value::Flag(false)),
                _ => None,
            },
            Self::Count { min, max } => {
                let count = text.replace('_', "").parse().ok()?;
                (min..=max).contains(&count).then_some(Value::Count(count))
            }
            Self::Bytes { min } => {
                let bytes = read_scaled(text, &SIZES, Some(1))?;
                (bytes >= min).then_some(Value::Bytes(bytes))
            }
            Self::Duration => read_span(text).map(Value::Duration),
            Self::Choice(words) => words.contains(&text).then(|| Value::Text(text.to_owned())),
        }
    }

    /// What a value looks like, to complete "expected …".
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Address => "an IP address and a port, such as 127.0.0.1:8080".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::LogFilter => {
                "error, warn, info, debug, trace, or a filter such as info,staffa_http=debug"
                    .to_owned()
            }
            Self::Secret => "a text that is not empty".to_owned(),
            Self::Storage => storage::EXPECTED.to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Bytes { min: 0 } => "a size, such as 256MB or 1GiB".to_owned(),
            Self::Bytes { min } => {
                let least = Value::Bytes(min);
                format!("a size of at least {least}, such as 256MB or 1GiB")
            }
            Self::Duration => "a time span, such as 500ms, 30s or 5m".to_owned(),
            Self::Choice(words) => words.join(" or "),
        }
    }
}

/// Reads a time span longer than nothing, such as `30s`.
pub(crate) fn read_span(text: &str) -> Option<Duration> {
    let millis = read_scaled(text, &SPANS, None)?;
    (millis > 0).then(|| Duration::from_millis(millis))
}

fn read_address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return format!("127.0.0.1:{port}").parse().ok();
    }
    text.parse().ok()
}

/// Reads `1.5GiB`: a decimal number and a unit. Without a unit only where one is given for it.
fn read_scaled(text: &str, units: &[(&str, u64)], bare: Option<u64>) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let number = number.replace('_', "");
    let unit = unit.trim();
    let scale = match unit {
        "" => bare?,
        _ => {
            units
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))?
                .1
        }
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, "0"));
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let parts = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(scale) / u128::from(parts);
    whole.checked_add(u64::try_from(part).ok()?)
}

/// Writes the largest unit that leaves no remainder.
fn write_scaled(
    f: &mut std::fmt::Formatter<'_>,
    amount: u64,
    units: &[(&str, u64)],
) -> std::fmt::Result {
    let fits = units
        .iter()
        .filter(|(_, scale)| amount >= *scale && amount.is_multiple_of(*scale));
    match fits.max_by_key(|(_, scale)| *scale) {
        Some((unit, scale)) => write!(f, "{}{unit}", amount / scale),
        None => write!(f, "{amount}"),
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Text(text) => f.write_str(text),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Bytes(bytes) => write_scaled(f, *bytes, &SIZES),
            Self::Duration(span) => {
                let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
                write_scaled(f, millis, &SPANS)
            }
        }
    }
}

impl Value {
    /// The value as it would stand in a file.
    pub(crate) fn to_toml(&self) -> String {
        match self {
            Self::Flag(_) | Self::Count(_) => self.to_string(),
            _ => toml::Value::String(self.to_string()).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Kind, text: &str, expected: Option<&str>) {
        let written = kind.read(text).map(|value| value.to_string());
        assert_eq!(written.as_deref(), expected, "{text}");
    }

    #[test]
    fn sizes() {
        let kind = Kind::Bytes { min: 0 };
        check(kind, "256MB", Some("256MB"));
        check(kind, "1GiB", Some("1GiB"));
        check(kind, "1.5 gib", Some("1536MiB"));
        check(kind, "1024", Some("1KiB"));
        check(kind, "1_000_000", Some("1MB"));
        check(kind, "0", Some("0"));
        check(kind, "", None);
        check(kind, "-1", None);
        check(kind, "12 parsecs", None);
        check(kind, "1.GB", None);
        check(kind, "99999999999GiB", None);
        check(Kind::Bytes { min: 1 << 20 }, "1KB", None);
    }

    #[test]
    fn spans() {
        check(Kind::Duration, "30s", Some("30s"));
        check(Kind::Duration, "500ms", Some("500ms"));
        check(Kind::Duration, "1.5m", Some("90s"));
        check(Kind::Duration, "48h", Some("2d"));
        check(Kind::Duration, "30", None);
        check(Kind::Duration, "0s", None);
        check(Kind::Duration, "soon", None);
    }

    #[test]
    fn others() {
        check(Kind::Address, "127.0.0.1:8080", Some("127.0.0.1:8080"));
        check(Kind::Address, "[::1]:0", Some("[::1]:0"));
        check(Kind::Address, "localhost:80", Some("127.0.0.1:80"));
        check(Kind::Address, "8080", None);
        check(Kind::Flag, "true", Some("true"));
        check(Kind::Flag, "yes", None);
        check(Kind::Count { min: 1, max: 9 }, "9", Some("9"));
        check(Kind::Count { min: 1, max: 9 }, "0", None);
        check(Kind::Count { min: 1, max: 9 }, "1.0", None);
        check(Kind::Choice(&["a", "b"]), "b", Some("b"));
        check(Kind::Choice(&["a", "b"]), "c", None);
        check(Kind::Secret, " ", None);
        let filter = "warn,staffa_http=debug";
        check(Kind::LogFilter, filter, Some(filter));
        check(Kind::LogFilter, "INFO", Some("INFO"));
        for text in ["", " ", "staffa_http=loud", "info,=", "a=b=c"] {
            check(Kind::LogFilter, text, None);
        }
    }
}
