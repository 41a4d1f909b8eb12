//! Any bytes for the target `arrow`.
#![no_main]

staffa_fuzz_targets::target!("arrow");
