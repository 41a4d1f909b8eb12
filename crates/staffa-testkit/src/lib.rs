//! What the tests of several crates share: a reference engine, the promises of the storage
//! ports as a suite of tests, and builders. A dev-dependency only.
#![doc = include_str!("../README.md")]

pub mod builders;
pub mod fakes;
pub mod schemas;

pub mod arrays;
pub mod record;

pub mod eval;
pub mod faults;
pub mod gate;
pub mod memory;
pub mod spool;

pub mod conformance;
pub mod differential;
pub mod strategies;

pub mod scenario;
pub mod seeds;

pub use fakes::{FixedClock, SequenceIds, nth_id};
pub use faults::{FaultyScans, ScanFault};
pub use gate::ChangeGate;
pub use memory::MemoryEngine;
pub use record::Record;
pub use spool::MemorySpool;
