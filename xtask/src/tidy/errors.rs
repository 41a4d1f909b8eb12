//! Each error code of the API has a page that says what the client should do, and no page is left
//! over when a code goes.

use super::report::Report;
use super::tree::Tree;

/// The file that lists the codes, in a constant of this name: `const CODES: … = &[…];`.
const CODES_FILE: &str = "crates/staffa-http/src/problem.rs";
const CODES_TABLE: &str = "const CODES";
const PAGES: &str = "docs/errors/";
const INDEX: &str = "README";

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    let Some(file) = tree.get(CODES_FILE) else {
        return;
    };
    let codes = codes(file.product_text());
    if codes.is_empty() {
        report.fail(format!(
            "{CODES_FILE}: has no table `{CODES_TABLE}` of error codes"
        ));
        return;
    }
    let pages: Vec<&str> = tree
        .under(PAGES)
        .filter_map(|page| page.name().strip_suffix(".md"))
        .filter(|name| *name != INDEX)
        .collect();
    for code in codes.iter().filter(|code| !pages.contains(code)) {
        report.fail(format!(
            "{PAGES}{code}.md: is missing, the code is in {CODES_FILE}"
        ));
    }
    for page in pages.iter().filter(|page| !codes.contains(page)) {
        report.fail(format!(
            "{PAGES}{page}.md: describes a code that {CODES_FILE} does not list"
        ));
    }
}

/// The codes among the string literals of the table; titles and the like hold other characters.
fn codes(text: &str) -> Vec<&str> {
    let table = text
        .split_once(CODES_TABLE)
        .and_then(|(_, rest)| rest.split_once('='))
        .and_then(|(_, rest)| rest.split_once("];"));
    let Some((table, _)) = table else {
        return Vec::new();
    };
    table
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|literal| is_code(literal))
        .collect()
}

fn is_code(literal: &str) -> bool {
    !literal.is_empty()
        && literal
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::{CODES_FILE, Report, Tree, check};

    const TABLE: &str = r#"//! Problems.
pub(crate) const CODES: [(&str, u16, &str); 2] = [
    ("conflict", 409, "Conflict"),
    ("storage_full", 507, "The disk is full"),
];
const OTHER: &[&str] = &["not_a_code"];
"#;

    #[track_caller]
    fn check_pages(table: &str, pages: &[&str], expected: &[&str]) {
        let mut files = vec![(CODES_FILE, table)];
        files.extend(pages.iter().map(|page| (*page, "")));
        let mut report = Report::default();
        check(&Tree::of(&files), &mut report);
        assert_eq!(report.failures(), expected);
    }

    #[test]
    fn codes_and_pages_match() {
        let both = ["docs/errors/conflict.md", "docs/errors/storage_full.md"];
        check_pages(TABLE, &both, &[]);
        check_pages(
            TABLE,
            &[&both[..], &["docs/errors/README.md"]].concat(),
            &[],
        );
        check_pages(
            TABLE,
            &both[..1],
            &["docs/errors/storage_full.md: is missing, the code is in \
               crates/staffa-http/src/problem.rs"],
        );
        check_pages(
            TABLE,
            &[&both[..], &["docs/errors/old.md"]].concat(),
            &[
                "docs/errors/old.md: describes a code that crates/staffa-http/src/problem.rs does \
               not list",
            ],
        );
    }

    #[test]
    fn a_table_is_required() {
        let expected =
            "crates/staffa-http/src/problem.rs: has no table `const CODES` of error codes";
        check_pages("//! Problems.\n", &[], &[expected]);
    }
}
