//! Any bytes for the target `fields`.
#![no_main]

staffa_fuzz_targets::target!("fields");
