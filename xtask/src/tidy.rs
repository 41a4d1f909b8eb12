//! `cargo xtask tidy`: the rules of the architecture that the compiler cannot check.
//! One file per family of rules; each exclusion is listed beside its rule, with the reason.

mod edges;
mod errors;
mod handlers;
mod links;
mod manifests;
mod report;
mod scenarios;
mod sizes;
mod sources;
mod tree;
mod words;

use std::path::Path;
use std::process::ExitCode;

use crate::{output, workspace};
use report::Report;
use tree::Tree;

/// Prints what every check found; warnings alone do not fail.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let report = inspect(workspace::root())?;
    for warning in report.warnings() {
        output::warning(warning);
    }
    for failure in report.failures() {
        output::error(failure);
    }
    if report.failures().is_empty() {
        output::say("tidy");
        return Ok(ExitCode::SUCCESS);
    }
    output::error(&format!(
        "tidy found {} broken rules",
        report.failures().len()
    ));
    Ok(ExitCode::FAILURE)
}

fn inspect(root: &Path) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let packages = edges::load(root)?;
    let tree = Tree::load(root)?;
    edges::check(&packages, &mut report);
    manifests::check(&packages, &tree, &mut report);
    sources::check(&tree, &mut report);
    sizes::check(&tree, &mut report);
    handlers::check(&tree, &mut report);
    words::check(&tree, &mut report);
    errors::check(&tree, &mut report);
    scenarios::check(&tree, &mut report);
    links::check(root, &tree, &mut report);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use crate::workspace;

    #[test]
    fn tidy() {
        let report = super::inspect(workspace::root()).unwrap();
        assert!(
            report.failures().is_empty(),
            "{}",
            report.failures().join("\n")
        );
    }
}
