//! Any bytes for the target `sort`.
#![no_main]

staffa_fuzz_targets::target!("sort");
