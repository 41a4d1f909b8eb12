//! The seeds of `fuzz/seeds`, and the folders and files that each target has.

use std::collections::BTreeSet;

use staffa_fuzz::TARGETS;
use staffa_testkit::seeds;

/// The target that lies in an adapter's crate, and is replayed there.
const ELSEWHERE: &str = "copy";

#[test]
fn every_seed_keeps_the_promises() {
    for target in TARGETS {
        seeds::replay(target.name, target.check);
    }
}

#[test]
fn every_target_has_seeds_and_a_file_for_the_fuzzer() {
    let known = TARGETS.iter().map(|target| target.name.to_owned());
    let known: BTreeSet<String> = known.chain([ELSEWHERE.to_owned()]).collect();
    assert_eq!(seeds::folders(), known);
    assert_eq!(seeds::fuzzer_files(), known);
}
