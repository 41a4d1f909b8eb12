//! Any bytes for the target `copy`.
#![no_main]

staffa_fuzz_targets::target!("copy");
