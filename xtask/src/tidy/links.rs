//! Links between the documents of the repository lead somewhere.

use std::path::Path;

use super::report::Report;
use super::tree::Tree;

pub(crate) fn check(root: &Path, tree: &Tree, report: &mut Report) {
    for file in tree.markdown() {
        let folder = root.join(&file.path);
        let folder = folder.parent().unwrap_or(root);
        for (line, target) in links(&file.text) {
            if !folder.join(target).exists() {
                report.fail(format!(
                    "{}:{line}: the link to {target} is broken",
                    file.path
                ));
            }
        }
    }
}

/// The targets of links to local files, each with its line, counted from 1. Code is skipped.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_fence = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if !in_fence {
            let prose = line.split('`').step_by(2);
            found.extend(
                prose
                    .flat_map(targets)
                    .filter_map(local)
                    .map(|path| (index + 1, path)),
            );
        }
    }
    found
}

/// What stands between `](` and `)`. A code span inside a link's text splits the line, which only
/// moves the text away: the target stays whole.
fn targets(prose: &str) -> impl Iterator<Item = &str> {
    prose
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
}

fn local(target: &str) -> Option<&str> {
    let target = target.split_whitespace().next()?;
    let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
    let path = target.split('#').next()?;
    (!is_elsewhere && !path.is_empty()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::links;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &str)]) {
        assert_eq!(links(text), expected);
    }

    #[test]
    fn local_targets_only() {
        check(
            "see [a](b.md) and [c](d/e.md#part)\n",
            &[(1, "b.md"), (1, "d/e.md")],
        );
        check(
            "[web](https://example.org/x) [part](#here) [m](mailto:a@b.c)",
            &[],
        );
        check("\n[`code`](x.rs \"title\")", &[(2, "x.rs")]);
    }

    #[test]
    fn code_is_no_prose() {
        check("```\n[a](b.md)\n```\n`[a](b.md)` [c](d.md)", &[(4, "d.md")]);
    }
}
