//! How long a file may be, and the tighter caps of the files that rot first.

use super::report::Report;
use super::tree::{File, Tree};

const LINES_WARN: usize = 400;
const LINES_MAX: usize = 600;
const MAIN_LINES_MAX: usize = 30;
/// When a file nears its cap it is split; the cap is never raised.
const CAPS: &[(&str, usize)] = &[("crates/staffa-server/src/compose.rs", 120)];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    for file in tree.rust() {
        let lines = file.line_count();
        let max = lines_max(file);
        if lines > max {
            report.fail(format!("{}: has {lines} lines, at most {max}", file.path));
        } else if lines > LINES_WARN {
            report.warn(format!(
                "{}: has {lines} lines; consider a split",
                file.path
            ));
        }
    }
}

fn lines_max(file: &File) -> usize {
    if file.path.ends_with("/src/main.rs") {
        return MAIN_LINES_MAX;
    }
    let cap = CAPS.iter().find(|(path, _)| *path == file.path);
    cap.map_or(LINES_MAX, |(_, max)| *max)
}

#[cfg(test)]
mod tests {
    use super::{Report, Tree, check};

    #[track_caller]
    fn check_lines(path: &str, lines: usize, failures: usize, warnings: usize) {
        let mut report = Report::default();
        check(&Tree::of(&[(path, &"\n".repeat(lines))]), &mut report);
        assert_eq!(
            (report.failures().len(), report.warnings().len()),
            (failures, warnings)
        );
    }

    #[test]
    fn caps() {
        check_lines("a/src/b.rs", 400, 0, 0);
        check_lines("a/src/b.rs", 401, 0, 1);
        check_lines("a/src/b.rs", 601, 1, 0);
        check_lines("crates/staffa-server/src/compose.rs", 120, 0, 0);
        check_lines("crates/staffa-server/src/compose.rs", 121, 1, 0);
        check_lines("a/src/main.rs", 31, 1, 0);
        check_lines("a/tests/it/main.rs", 31, 0, 0);
    }
}
