//! Any bytes for the target `filters`.
#![no_main]

staffa_fuzz_targets::target!("filters");
