//! Any bytes for the target `csv`.
#![no_main]

staffa_fuzz_targets::target!("csv");
