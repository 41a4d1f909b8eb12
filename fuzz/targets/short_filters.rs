//! Any bytes for the target `short_filters`.
#![no_main]

staffa_fuzz_targets::target!("short_filters");
