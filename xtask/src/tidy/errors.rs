//! Each error code of the API has a page that says what the client should do, and no page is left
//! over when a code goes. No code is listed that no answer can have.

use super::report::Report;
use super::tree::Tree;

/// The file that lists the codes, in a constant of this name: `const CODES: … = &[…];`.
const CODES_FILE: &str = "crates/staffa-http/src/problem.rs";
const CODES_TABLE: &str = "const CODES";
/// How a constant of a code is made. The compiler refuses one that nothing uses.
const CODE_CONSTANT: &str = "Self::find(\"";
const PAGES: &str = "docs/errors/";
const INDEX: &str = "README";

/// The codes of single record errors share one page, which has to name each of them.
const RECORD_CODES_FILE: &str = "crates/staffa-domain/src/error.rs";
const RECORD_CODES_TABLE: &str = "impl RecordErrorCode";
const RECORD_CODES_PAGE: &str = "docs/errors/validation_failed.md";

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    check_pages(tree, report);
    check_record_codes(tree, report);
}

fn check_record_codes(tree: &Tree, report: &mut Report) {
    let Some(file) = tree.get(RECORD_CODES_FILE) else {
        return;
    };
    let page = tree
        .get(RECORD_CODES_PAGE)
        .map_or("", |page| page.text.as_str());
    let table = file
        .text
        .split_once(RECORD_CODES_TABLE)
        .and_then(|(_, rest)| rest.split_once("\n}"))
        .map_or("", |(table, _)| table);
    for code in literals(table).filter(|code| !page.contains(&format!("`{code}`"))) {
        report.fail(format!(
            "{RECORD_CODES_PAGE}: does not name `{code}` of {RECORD_CODES_FILE}"
        ));
    }
}

fn check_pages(tree: &Tree, report: &mut Report) {
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
    for code in codes
        .iter()
        .filter(|code| !is_used(file.product_text(), code))
    {
        report.fail(format!(
            "{CODES_FILE}: lists {code}, which no answer can have"
        ));
    }
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

fn is_used(text: &str, code: &str) -> bool {
    text.contains(&format!("{CODE_CONSTANT}{code}\")"))
}

fn codes(text: &str) -> Vec<&str> {
    let table = text
        .split_once(CODES_TABLE)
        .and_then(|(_, rest)| rest.split_once('='))
        .and_then(|(_, rest)| rest.split_once("];"));
    let Some((table, _)) = table else {
        return Vec::new();
    };
    literals(table).collect()
}

/// The codes among the string literals; titles and the like hold other characters.
fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.split('"')
        .skip(1)
        .step_by(2)
        .filter(|literal| is_code(literal))
}

fn is_code(literal: &str) -> bool {
    !literal.is_empty()
        && literal
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::{CODES_FILE, RECORD_CODES_FILE, RECORD_CODES_PAGE, Report, Tree, check};

    const TABLE: &str = r#"//! Problems.
pub(crate) const CODES: [(&str, u16, &str); 2] = [
    ("conflict", 409, "Conflict"),
    ("storage_full", 507, "The disk is full"),
];
const OTHER: &[&str] = &["not_a_code"];
    const CONFLICT: Self = Self::find("conflict");
    const STORAGE_FULL: Self = Self::find("storage_full");
"#;

    #[track_caller]
    fn check_codes(table: &str, pages: &[&str], expected: &[&str]) {
        let mut files = vec![(CODES_FILE, table)];
        files.extend(pages.iter().map(|page| (*page, "")));
        let mut report = Report::default();
        check(&Tree::of(&files), &mut report);
        assert_eq!(report.failures(), expected);
    }

    #[test]
    fn codes_and_pages_match() {
        let both = ["docs/errors/conflict.md", "docs/errors/storage_full.md"];
        check_codes(TABLE, &both, &[]);
        check_codes(
            TABLE,
            &[&both[..], &["docs/errors/README.md"]].concat(),
            &[],
        );
        check_codes(
            TABLE,
            &both[..1],
            &["docs/errors/storage_full.md: is missing, the code is in \
               crates/staffa-http/src/problem.rs"],
        );
        check_codes(
            TABLE,
            &[&both[..], &["docs/errors/old.md"]].concat(),
            &[
                "docs/errors/old.md: describes a code that crates/staffa-http/src/problem.rs does \
               not list",
            ],
        );
    }

    #[test]
    fn a_code_that_is_never_told_is_not_listed() {
        let table = TABLE.replace("Self::find(\"conflict\")", "Self::of(\"conflict\")");
        let pages = ["docs/errors/conflict.md", "docs/errors/storage_full.md"];
        let expected =
            "crates/staffa-http/src/problem.rs: lists conflict, which no answer can have";
        check_codes(&table, &pages, &[expected]);
    }

    #[test]
    fn a_table_is_required() {
        let expected =
            "crates/staffa-http/src/problem.rs: has no table `const CODES` of error codes";
        check_codes("//! Problems.\n", &[], &[expected]);
    }

    #[test]
    fn one_page_names_all_record_codes() {
        let table = "impl RecordErrorCode {\n  \"too_long\"\n  \"required\"\n}\n\"other\"\n";
        let mut report = Report::default();
        let files = [
            (RECORD_CODES_FILE, table),
            (RECORD_CODES_PAGE, "| `required` |"),
        ];
        check(&Tree::of(&files), &mut report);
        let expected = "docs/errors/validation_failed.md: does not name `too_long` of \
                        crates/staffa-domain/src/error.rs";
        assert_eq!(report.failures(), [expected]);
    }
}
