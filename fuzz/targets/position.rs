//! Any bytes for the target `position`.
#![no_main]

staffa_fuzz_targets::target!("position");
