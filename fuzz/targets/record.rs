//! Any bytes for the target `record`.
#![no_main]

staffa_fuzz_targets::target!("record");
