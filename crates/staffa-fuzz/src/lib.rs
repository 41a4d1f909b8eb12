//! What must hold for any bytes that reach a parser: one check a target, of those that the
//! fuzzer of `fuzz/` runs and that the tests replay with the seeds.
#![doc = include_str!("../README.md")]

mod common;
mod document;
mod envelope;
mod patch;
mod question;
mod records;
mod round_trip;
mod transaction;

/// A parser and what must hold for it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which its seeds' folder and its file in `fuzz/targets` have too.
    pub name: &'static str,
    /// Panics where the bytes break a promise.
    pub check: fn(&[u8]),
}

const fn target(name: &'static str, check: fn(&[u8])) -> Target {
    Target { name, check }
}

/// Every target of this crate.
pub const TARGETS: [Target; 17] = [
    target("aggregate", question::check_aggregate),
    target("arrow", records::check_arrow),
    target("compressed", records::check_compressed),
    target("csv", records::check_csv),
    target("document", document::check),
    target("envelope", envelope::check),
    target("fields", question::check_fields),
    target("filters", question::check_filters),
    target("json", records::check_json),
    target("ndjson", records::check_ndjson),
    target("parquet", records::check_parquet),
    target("patch", patch::check),
    target("position", question::check_position),
    target("record", records::check_record),
    target("short_filters", question::check_short_filters),
    target("sort", question::check_sort),
    target("transaction", transaction::check),
];
