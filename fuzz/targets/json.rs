//! Any bytes for the target `json`.
#![no_main]

staffa_fuzz_targets::target!("json");
