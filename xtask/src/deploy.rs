//! Checks the files of `deploy/` against the schemas that those who read them publish. Both
//! validators bring the schemas along, so nothing is fetched.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, ensure};

use crate::{output, workspace};

/// How both are installed.
const INSTALL: &str = "pip install kubernetes-validate check-jsonschema";

/// Checks all files and answers whether they are as they must be.
///
/// # Errors
/// When a validator is missing.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    ensure!(are_installed(), "a validator is missing: {INSTALL}");
    let folder = workspace::root().join("deploy");
    let problems = check(&folder)?;
    for problem in &problems {
        output::error(problem);
    }
    Ok(if problems.is_empty() {
        output::say("the files of deploy/ are what their schemas say");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn are_installed() -> bool {
    let is_there = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    is_there("kubernetes-validate") && is_there("check-jsonschema")
}

/// What the validators find wrong, a text each.
fn check(folder: &Path) -> anyhow::Result<Vec<String>> {
    let manifests = manifests(&folder.join("kubernetes"))?;
    let mut kubernetes = vec![OsString::from("--strict")];
    kubernetes.extend(manifests.into_iter().map(PathBuf::into_os_string));
    let compose = vec![
        OsString::from("--builtin-schema"),
        OsString::from("vendor.compose-spec"),
        folder.join("compose.yaml").into_os_string(),
    ];
    let answers = [
        ask("kubernetes-validate", &kubernetes)?,
        ask("check-jsonschema", &compose)?,
    ];
    Ok(answers.into_iter().flatten().collect())
}

fn manifests(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder);
    for entry in entries.with_context(|| format!("could not read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "yaml") {
            found.push(path);
        }
    }
    ensure!(!found.is_empty(), "{} holds no manifest", folder.display());
    found.sort();
    Ok(found)
}

/// Runs a validator and answers what it says where it is not content.
fn ask(program: &str, arguments: &[OsString]) -> anyhow::Result<Option<String>> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not start {program}"))?;
    if output.status.success() {
        return Ok(None);
    }
    let said = [output.stdout, output.stderr].concat();
    Ok(Some(String::from_utf8_lossy(&said).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{INSTALL, are_installed, check, manifests};
    use crate::workspace;

    /// On a machine that builds for all, a check that is left out would be missed by nobody.
    fn can_check() -> bool {
        let can = are_installed();
        let must = std::env::var_os("CI").is_some();
        assert!(can || !must, "a validator is missing: {INSTALL}");
        if !can {
            println!("skipped: {INSTALL}");
        }
        can
    }

    /// A copy of the files, with a text replaced, that goes with this value.
    struct Copy(PathBuf);

    impl Copy {
        fn new(name: &str, (from, to): (&str, &str)) -> Self {
            let folder = format!("staffa-deploy-{}-{name}", std::process::id());
            let folder = std::env::temp_dir().join(folder);
            let deploy = workspace::root().join("deploy");
            fs::create_dir_all(folder.join("kubernetes")).unwrap();
            let mut files = manifests(&deploy.join("kubernetes")).unwrap();
            files.push(deploy.join("compose.yaml"));
            let mut is_replaced = false;
            for file in files {
                let text = fs::read_to_string(&file).unwrap();
                is_replaced |= text.contains(from);
                let copy = folder.join(file.strip_prefix(&deploy).unwrap());
                fs::write(copy, text.replace(from, to)).unwrap();
            }
            assert!(is_replaced, "no file says {from}");
            Self(folder)
        }
    }

    impl Drop for Copy {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_files_are_what_their_schemas_say() {
        if can_check() {
            let problems = check(Path::new(&workspace::root().join("deploy"))).unwrap();
            assert_eq!(problems, Vec::<String>::new());
        }
    }

    #[test]
    fn what_their_schemas_do_not_say_is_found() {
        if !can_check() {
            return;
        }
        let faults = [
            (
                "maxUnavailable: 1\n  unhealthy",
                "maxUnavailble: 1\n  unhealthy",
            ),
            ("replicas: 3", "replicas: three"),
            ("failureThreshold: 3", "failureTreshold: 3"),
            ("start_period: 30s", "startperiod: 30s"),
        ];
        for (number, fault) in faults.into_iter().enumerate() {
            let copy = Copy::new(&number.to_string(), fault);
            let problems = check(&copy.0).unwrap();
            assert_eq!(problems.len(), 1, "{fault:?}: {problems:?}");
        }
    }
}
