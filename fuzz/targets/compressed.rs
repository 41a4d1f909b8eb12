//! Any bytes for the target `compressed`.
#![no_main]

staffa_fuzz_targets::target!("compressed");
