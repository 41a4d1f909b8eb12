//! Every crate inherits the lints of the workspace and introduces itself in a short README.

use super::edges::Package;
use super::report::Report;
use super::tree::Tree;

const README_LINES_MAX: usize = 40;

pub(crate) fn check(packages: &[Package], tree: &Tree, report: &mut Report) {
    for package in packages {
        check_lints(package, tree, report);
        check_readme(package, tree, report);
    }
}

fn check_lints(package: &Package, tree: &Tree, report: &mut Report) {
    let path = format!("{}/Cargo.toml", package.folder);
    let manifest: Option<toml::Table> = tree
        .get(&path)
        .and_then(|file| toml::from_str(&file.text).ok());
    let inherits = manifest.as_ref().and_then(|manifest| {
        manifest
            .get("lints")?
            .as_table()?
            .get("workspace")?
            .as_bool()
    });
    if inherits != Some(true) {
        report.fail(format!("{path}: has no `[lints] workspace = true`"));
    }
}

fn check_readme(package: &Package, tree: &Tree, report: &mut Report) {
    let path = format!("{}/README.md", package.folder);
    match tree.get(&path).map(super::tree::File::line_count) {
        None => report.fail(format!("{path}: is missing")),
        Some(lines) if lines > README_LINES_MAX => {
            report.fail(format!(
                "{path}: has {lines} lines, at most {README_LINES_MAX}"
            ));
        }
        Some(_) => {}
    }
}
