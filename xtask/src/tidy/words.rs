//! Engines differ by data, never by name: their words stay in their own crate.

use super::report::Report;
use super::tree::{File, Tree};

/// Each word with the crate it belongs to.
const WORDS: &[(&str, &str)] = &[
    ("duckdb", "crates/staffa-duckdb/"),
    ("postgres", "crates/staffa-postgres/"),
    ("citus", "crates/staffa-postgres/"),
];

/// Where every engine may be named, by the start of the path. This list only shrinks.
const EXEMPT: &[(&str, &str)] = &[
    (
        "crates/staffa-server/src/compose.rs",
        "the one place that chooses an engine",
    ),
    (
        "crates/staffa-server/src/config",
        "the user names the engine in the configuration",
    ),
    (
        "crates/staffa-server/src/bench",
        "a measurement says what was measured",
    ),
    (
        "crates/staffa-testkit/",
        "the suite that proves the engines equal knows them",
    ),
    ("xtask/", "these checks, and the test cluster"),
];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    for file in tree.rust().filter(|file| !is_exempt(file)) {
        for (index, line) in file.product_text().lines().enumerate() {
            let line = line.to_ascii_lowercase();
            for (word, home) in WORDS {
                if line.contains(word) && !file.path.starts_with(home) {
                    report.fail(format!(
                        "{}:{}: names `{word}`, a word of {home}",
                        file.path,
                        index + 1
                    ));
                }
            }
        }
    }
}

fn is_exempt(file: &File) -> bool {
    file.is_test()
        || EXEMPT
            .iter()
            .any(|(prefix, _)| file.path.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::{Report, Tree, check};

    #[track_caller]
    fn check_file(path: &str, text: &str, expected: &[&str]) {
        let mut report = Report::default();
        check(&Tree::of(&[(path, text)]), &mut report);
        assert_eq!(report.failures(), expected);
    }

    #[test]
    fn a_word_stays_at_home() {
        check_file("crates/staffa-duckdb/src/lib.rs", "//! On DuckDB.\n", &[]);
        check_file(
            "crates/staffa-postgres/src/lib.rs",
            "//! Unlike DuckDB.\n",
            &[
                "crates/staffa-postgres/src/lib.rs:1: names `duckdb`, a word of crates/staffa-duckdb/",
            ],
        );
        check_file(
            "crates/staffa-app/src/lib.rs",
            "\nstruct PostgresOnly;\n",
            &[
                "crates/staffa-app/src/lib.rs:2: names `postgres`, a word of crates/staffa-postgres/",
            ],
        );
    }

    #[test]
    fn exempt_places() {
        check_file("crates/staffa-server/src/config/storage.rs", "DuckDB", &[]);
        check_file("crates/staffa-server/tests/it/main.rs", "DuckDB", &[]);
        check_file("fuzz/src/lib.rs", "DuckDB", &[]);
        check_file(
            "crates/staffa-app/src/a.rs",
            "\n#[cfg(test)]\nmod tests {\n// citus\n}\n",
            &[],
        );
    }
}
