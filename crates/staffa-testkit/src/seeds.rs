//! The inputs of `fuzz/seeds`, a folder a target, replayed without a fuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

/// Calls a check with every seed of a target.
///
/// # Panics
/// When the check does, after saying which seed it was, and when there is no seed.
pub fn replay(target: &str, check: fn(&[u8])) {
    let seeds = files(&root().join("seeds").join(target));
    assert!(!seeds.is_empty(), "{target} has no seed");
    for path in seeds {
        let bytes = fs::read(&path).expect("a seed can be read");
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| check(&bytes)));
        assert!(outcome.is_ok(), "{} breaks a promise", path.display());
    }
}

/// The targets that have a folder of seeds.
///
/// # Panics
/// When the folder cannot be read.
pub fn folders() -> BTreeSet<String> {
    names(&root().join("seeds"))
}

/// The targets that have a file by which the fuzzer runs them.
///
/// # Panics
/// When the folder cannot be read.
pub fn fuzzer_files() -> BTreeSet<String> {
    names(&root().join("targets"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let name = |path: &PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    files(folder).iter().filter_map(name).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.filter_map(|it| Some(it.ok()?.path())).collect();
    paths.sort();
    paths
}
