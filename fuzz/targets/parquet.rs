//! Any bytes for the target `parquet`.
#![no_main]

staffa_fuzz_targets::target!("parquet");
