//! Which engine keeps the records, and how its URL is shown without its password.

/// The embedded engine's name.
pub(crate) const EMBEDDED: &str = "duckdb";

/// The file that the embedded engine keeps in the data folder.
pub(crate) const FILE: &str = "staffa.duckdb";

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

/// What names a storage on its own, to complete "expected …".
pub(crate) const PLACE_EXPECTED: &str =
    "duckdb:<data folder> or a postgres://user@host/database URL";

/// The settings that mean the storage that a text names on its own: the URL of a server, or
/// the embedded engine and its data folder.
pub(crate) fn place(text: &str) -> Option<Vec<(&'static str, String)>> {
    if is_postgres(text) {
        return Some(vec![("storage", text.to_owned())]);
    }
    let (engine, folder) = text.split_once(':')?;
    let named = engine == EMBEDDED && !folder.is_empty() && !folder.starts_with("//");
    named.then(|| {
        vec![
            ("storage", EMBEDDED.to_owned()),
            ("data_dir", folder.to_owned()),
        ]
    })
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
    use super::{is_engine, masked, place};

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
    fn a_place_names_engine_and_data() {
        let embedded = place("duckdb:/var/a:b").unwrap();
        assert_eq!(
            embedded,
            [
                ("storage", "duckdb".to_owned()),
                ("data_dir", "/var/a:b".to_owned())
            ]
        );
        let url = "postgres:///d?host=/run/postgresql";
        assert_eq!(place(url).unwrap(), [("storage", url.to_owned())]);
        for text in [
            "duckdb",
            "duckdb:",
            "duckdb://a",
            "sqlite:a",
            "a",
            "postgres:a",
        ] {
            assert_eq!(place(text), None, "{text}");
        }
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
