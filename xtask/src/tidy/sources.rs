//! What every source file must open with, and what none may hold.

use super::report::Report;
use super::tree::Tree;

/// Words of unfinished work. They are split so that this file does not hold them.
const UNFINISHED: &[&str] = &[
    concat!("FIX", "ME"),
    concat!("dbg", "!("),
    concat!("todo", "!("),
];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    for file in tree.rust() {
        let path = &file.path;
        if file.name() == "mod.rs" {
            report.fail(format!("{path}: is named mod.rs; use foo.rs beside foo/"));
        }
        if !file.is_test() && !file.text.starts_with("//!") {
            report.fail(format!("{path}: does not open with a `//!` sentence"));
        }
        for (index, line) in file.text.lines().enumerate() {
            for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
                report.fail(format!("{path}:{}: holds `{word}`", index + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, Tree, UNFINISHED, check};

    #[track_caller]
    fn check_file(path: &str, text: &str, expected: &[&str]) {
        let mut report = Report::default();
        check(&Tree::of(&[(path, text)]), &mut report);
        assert_eq!(report.failures(), expected);
    }

    #[test]
    fn files_open_with_a_sentence() {
        check_file("a/src/lib.rs", "//! What is here.\n", &[]);
        check_file("a/tests/it/main.rs", "mod one;\n", &[]);
        check_file("a/src/b/tests.rs", "use super::b;\n", &[]);
        check_file(
            "a/src/b.rs",
            "use c;\n//! Late.\n",
            &["a/src/b.rs: does not open with a `//!` sentence"],
        );
    }

    #[test]
    fn no_mod_rs() {
        let expected = "a/src/b/mod.rs: is named mod.rs; use foo.rs beside foo/";
        check_file("a/src/b/mod.rs", "//! B.\n", &[expected]);
    }

    #[test]
    fn no_unfinished_work() {
        let text = format!("//! A.\n// {} later\n", UNFINISHED[0]);
        let expected = format!("a/src/b.rs:2: holds `{}`", UNFINISHED[0]);
        check_file("a/src/b.rs", &text, &[&expected]);
    }
}
