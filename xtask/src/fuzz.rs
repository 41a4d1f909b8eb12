//! `cargo xtask fuzz`: looks for bytes that break a promise of a parser, a target after the other.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail, ensure};

use crate::{output, workspace};

/// How what a run needs is installed.
const INSTALL: &str = "\
fuzzing needs cargo-fuzz and a nightly compiler; install them with
  rustup toolchain install nightly --profile minimal
  cargo install cargo-fuzz --locked";

const SECONDS_DEFAULT: u64 = 60;
/// What a run may hold: the program and the sanitizer's own shadow.
const MEGABYTES_MAX: u32 = 1_024;
/// The most bytes of one allocation: no small input may ask for more.
const ALLOCATION_MEGABYTES_MAX: u32 = 64;
/// Longer inputs find little more, and slower.
const INPUT_BYTES_MAX: u32 = 8_192;
/// After which a single input counts as one that never ends.
const INPUT_SECONDS_MAX: u32 = 10;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    seconds: u64,
    targets: Vec<String>,
}

/// Runs the targets that are named, or all, each for as long as is asked; stops at none that
/// finds something, and answers whether any did.
///
/// # Errors
/// When the command line is wrong, or what a run needs is missing.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let plan = plan(arguments, &known()?)?;
    ensure!(is_installed(), "{INSTALL}");
    let mut broken = Vec::new();
    for target in &plan.targets {
        let status = workspace::status(&mut fuzz(target, plan.seconds)?)?;
        if !status.success() {
            broken.push(target.as_str());
        }
    }
    if broken.is_empty() {
        output::say("no target found anything");
        return Ok(ExitCode::SUCCESS);
    }
    output::error(&format!(
        "broken: {}; mend what was found in fuzz/artifacts and keep the smallest input as a seed",
        broken.join(", ")
    ));
    Ok(ExitCode::FAILURE)
}

/// The targets, by the files that run them.
fn known() -> anyhow::Result<BTreeSet<String>> {
    let folder = folder().join("targets");
    let entries = fs::read_dir(&folder);
    let mut names = BTreeSet::new();
    for entry in entries.with_context(|| format!("could not list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        names.extend(name.map(str::to_owned));
    }
    Ok(names)
}

fn folder() -> PathBuf {
    workspace::root().join("fuzz")
}

fn plan(arguments: &[String], known: &BTreeSet<String>) -> anyhow::Result<Plan> {
    let mut plan = Plan {
        seconds: SECONDS_DEFAULT,
        targets: Vec::new(),
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--seconds" {
            let seconds = rest.next().and_then(|text| text.parse().ok());
            plan.seconds = seconds.context("`--seconds` takes a number")?;
        } else if known.contains(argument) {
            plan.targets.push(argument.clone());
        } else {
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            bail!(
                "there is no target `{argument}`; there are {}",
                names.join(", ")
            );
        }
    }
    if plan.targets.is_empty() {
        plan.targets.extend(known.iter().cloned());
    }
    Ok(plan)
}

fn is_installed() -> bool {
    let mut command = nightly();
    command.args(["fuzz", "--version"]);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Cargo of the nightly toolchain. The one that runs this is pinned, and its variables with it.
fn nightly() -> Command {
    let mut command = workspace::cargo_of("nightly");
    command.current_dir(folder());
    command
}

/// What was found before comes first and grows; the seeds only go in.
fn fuzz(target: &str, seconds: u64) -> anyhow::Result<Command> {
    let corpus = folder().join("corpus").join(target);
    fs::create_dir_all(&corpus)
        .with_context(|| format!("could not create {}", corpus.display()))?;
    let mut command = nightly();
    command
        .args(["fuzz", "run", target])
        .arg(corpus)
        .arg(folder().join("seeds").join(target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={MEGABYTES_MAX}"))
        .arg(format!("-malloc_limit_mb={ALLOCATION_MEGABYTES_MAX}"));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::{Plan, SECONDS_DEFAULT, fuzz, known, plan};

    #[track_caller]
    fn check(arguments: &[&str], seconds: u64, targets: &[&str]) {
        let known = ["csv", "json"].map(str::to_owned).into();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let expected = Plan {
            seconds,
            targets: targets.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(plan(&arguments, &known).unwrap(), expected);
    }

    #[test]
    fn all_targets_unless_some_are_named() {
        check(&[], SECONDS_DEFAULT, &["csv", "json"]);
        check(&["json"], SECONDS_DEFAULT, &["json"]);
        check(&["--seconds", "5", "csv"], 5, &["csv"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let known = known().unwrap();
        let said = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            plan(&arguments, &known).unwrap_err().to_string()
        };
        assert!(said(&["cvs"]).contains("there are aggregate, arrow"));
        assert_eq!(said(&["--seconds", "x"]), "`--seconds` takes a number");
        assert_eq!(said(&["--seconds"]), "`--seconds` takes a number");
    }

    #[test]
    fn seeds_are_read_and_what_is_found_goes_beside_them() {
        let command = fuzz("csv", 5).unwrap();
        let arguments: Vec<_> = command.get_args().filter_map(|it| it.to_str()).collect();
        assert_eq!(arguments[..3], ["fuzz", "run", "csv"]);
        assert!(arguments[3].ends_with("fuzz/corpus/csv"));
        assert!(arguments[4].ends_with("fuzz/seeds/csv"));
        assert_eq!(arguments[6], "-max_total_time=5");
    }
}
