//! Any bytes for the target `patch`.
#![no_main]

staffa_fuzz_targets::target!("patch");
