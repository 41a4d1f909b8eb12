//! Any bytes for the target `ndjson`.
#![no_main]

staffa_fuzz_targets::target!("ndjson");
