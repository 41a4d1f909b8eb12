//! Any bytes for the target `aggregate`.
#![no_main]

staffa_fuzz_targets::target!("aggregate");
