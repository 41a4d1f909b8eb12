//! Which engine keeps the records, and how its URL is shown without its password.

/// The embedded engine's name.
pub(crate) const EMBEDDED: &str = "duckdb";

/// What the setting takes, to complete "expected …".
pub(crate) const EXPECTED: &str = "duckdb or a postgres://user@host/database URL";

/// Whether a text names an engine.
pub(crate) fn is_engine(text: &str) -> bool {
    text == EMBEDDED || is_postgres(text)
}

/// Whether a text is the URL of a PostgreSQL server.
pub(crate) fn is_postgres(text: &str) -> bool {
    let rest = text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"));
    rest.is_some_and(|rest| !rest.is_empty())
}

/// The text with a password in it, of the user part or of a parameter, replaced by `***`.
pub(crate) fn masked(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    // A password may itself hold a raw `@` or `/`; the last `@` ends it.
    let place = match place.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:***@{host}"),
            None => format!("{user}@{host}"),
        },
        None => place.to_owned(),
    };
    if parameters.is_empty() {
        return format!("{scheme}://{place}");
    }
    let shown: Vec<String> = parameters.split('&').map(masked_parameter).collect();
    format!("{scheme}://{place}?{}", shown.join("&"))
}

fn masked_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("password") => format!("{name}=***"),
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_engine, masked};

    #[test]
    fn engines() {
        assert!(is_engine("duckdb"));
        assert!(is_engine("postgres://localhost/staffa"));
        assert!(is_engine("postgresql://u:p@h/d"));
        assert!(!is_engine("postgres://"));
        assert!(!is_engine("mysql://localhost"));
        assert!(!is_engine("DuckDB"));
    }

    #[test]
    fn passwords_are_hidden() {
        assert_eq!(masked("duckdb"), "duckdb");
        assert_eq!(masked("postgres://h/d"), "postgres://h/d");
        assert_eq!(masked("postgres://u@h/d?a=b"), "postgres://u@h/d?a=b");
        assert_eq!(masked("postgres://u:s3c@r/t@h/d"), "postgres://u:***@h/d");
        assert_eq!(
            masked("postgres://h/d?sslpassword=x&password=y&user=z"),
            "postgres://h/d?sslpassword=***&password=***&user=z"
        );
    }
}
