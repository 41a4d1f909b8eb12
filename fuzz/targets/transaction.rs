//! Any bytes for the target `transaction`.
#![no_main]

staffa_fuzz_targets::target!("transaction");
