//! The storage ports on embedded DuckDB: one file, one writer lane, bounded pools of readers.
//!
//! [`open`] is the way in; all that it hands out are the domain's ports. Statements, streams
//! and connections never leave the threads of this crate, and no text of a user reaches SQL.

mod error;
mod options;
mod types;

mod sql;

mod engine;
mod open;
mod priority;
mod rows;
mod sequence;
mod transaction;

mod inbox;

mod catalog;
mod lane;
mod session;

mod page;
mod point;
mod pool;
mod reader;
mod stream;

mod monitor;
mod upkeep;

pub mod reference;

pub use open::{OpenError, open};
pub use options::Options;
