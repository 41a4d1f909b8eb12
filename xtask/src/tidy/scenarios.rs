//! Each use case has a scenario of its name, which every engine has to play alike.

use super::report::Report;
use super::tree::{File, Tree};

const FOLDER: &str = "tests/scenarios/";
const USE_CASES: &[&str] = &[
    "crates/staffa-app/src/commands/",
    "crates/staffa-app/src/queries/",
];

/// Use cases without a scenario, each with the reason. This list only shrinks.
const EXEMPT: &[(&str, &str)] = &[
    ("copy_records", "no route: the command line copies"),
    ("checksum_records", "no route: the command line copies"),
];

pub(crate) fn check(tree: &Tree, report: &mut Report) {
    let scenarios = scenarios(tree, report);
    let use_cases = use_cases(tree);
    for name in &use_cases {
        let is_exempt = EXEMPT.iter().any(|(exempt, _)| exempt == name);
        let is_played = scenarios.contains(&name.replace('_', "-").as_str());
        if !is_played && !is_exempt {
            let file = name.replace('_', "-");
            report.fail(format!(
                "{FOLDER}NNNN-{file}.yaml: is missing for the use case {name}"
            ));
        }
        if is_played && is_exempt {
            report.fail(format!(
                "EXEMPT of xtask/src/tidy/scenarios.rs names {name}, which has a scenario"
            ));
        }
    }
    for (name, _) in EXEMPT.iter().filter(|(name, _)| !use_cases.contains(name)) {
        report.fail(format!(
            "EXEMPT of xtask/src/tidy/scenarios.rs names {name}, which is gone"
        ));
    }
}

/// The names of the scenarios, without their numbers.
fn scenarios<'a>(tree: &'a Tree, report: &mut Report) -> Vec<&'a str> {
    let (mut names, mut numbers) = (Vec::new(), Vec::new());
    for file in tree.under(FOLDER) {
        let parts = file
            .name()
            .strip_suffix(".yaml")
            .and_then(|stem| stem.split_once('-'));
        let parts = parts.filter(|(number, _)| {
            number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        let Some((number, name)) = parts else {
            report.fail(format!(
                "{}: is not named like 0101-create-record.yaml",
                file.path
            ));
            continue;
        };
        if numbers.contains(&number) {
            report.fail(format!("{}: another scenario has its number", file.path));
        }
        numbers.push(number);
        names.push(name);
    }
    names
}

fn use_cases(tree: &Tree) -> Vec<&str> {
    let files = USE_CASES.iter().flat_map(|folder| {
        let files = tree.under(folder);
        // What lies deeper is a part of a use case.
        files.filter(|file| !file.path[folder.len()..].contains('/'))
    });
    files.filter_map(use_case).collect()
}

/// The name of a file that has a function of this name. Others are parts of several use cases.
fn use_case(file: &File) -> Option<&str> {
    let name = file.name().strip_suffix(".rs")?;
    file.text.contains(&format!(" fn {name}(")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{EXEMPT, Report, Tree, check};

    /// Checks a tree that has every exempt use case, and some files more.
    #[track_caller]
    fn check_files(more: &[(&str, &str)], expected: &[&str]) {
        let exempt = |(name, _): &(&str, &str)| {
            let path = format!("crates/staffa-app/src/commands/{name}.rs");
            (path, format!("pub async fn {name}("))
        };
        let exempt: Vec<(String, String)> = EXEMPT.iter().map(exempt).collect();
        let mut files: Vec<(&str, &str)> = more.to_vec();
        files.extend(
            exempt
                .iter()
                .map(|(path, text)| (path.as_str(), text.as_str())),
        );
        let mut report = Report::default();
        check(&Tree::of(&files), &mut report);
        assert_eq!(report.failures(), expected);
    }

    const USE_CASE: (&str, &str) = (
        "crates/staffa-app/src/queries/get_record.rs",
        "pub async fn get_record(",
    );

    #[test]
    fn a_use_case_has_a_scenario() {
        check_files(
            &[USE_CASE, ("tests/scenarios/0205-get-record.yaml", "")],
            &[],
        );
        let part = (
            "crates/staffa-app/src/queries/cache.rs",
            "async fn get_record(",
        );
        check_files(&[part], &[]);
        check_files(
            &[USE_CASE, ("tests/scenarios/0205-get-records.yaml", "")],
            &["tests/scenarios/NNNN-get-record.yaml: is missing for the use case get_record"],
        );
    }

    #[test]
    fn a_scenario_has_a_number_of_its_own() {
        check_files(
            &[
                ("tests/scenarios/0101-a.yaml", ""),
                ("tests/scenarios/0101-b.yaml", ""),
            ],
            &["tests/scenarios/0101-b.yaml: another scenario has its number"],
        );
        check_files(
            &[("tests/scenarios/a.yaml", "")],
            &["tests/scenarios/a.yaml: is not named like 0101-create-record.yaml"],
        );
    }

    #[test]
    fn the_exempt_only_shrink() {
        check_files(
            &[("tests/scenarios/0109-copy-records.yaml", "")],
            &["EXEMPT of xtask/src/tidy/scenarios.rs names copy_records, which has a scenario"],
        );
    }
}
