//! Any bytes for the target `document`.
#![no_main]

staffa_fuzz_targets::target!("document");
