//! Any bytes for the target `envelope`.
#![no_main]

staffa_fuzz_targets::target!("envelope");
