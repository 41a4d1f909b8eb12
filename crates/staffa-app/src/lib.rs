//! [`Commands`] holds what can write, [`Queries`] only what can read: a caller that is given
//! `Queries` alone cannot change anything.
#![doc = include_str!("../README.md")]

mod catalog;
mod context;
mod error;
mod limits;
mod system;

mod commands;
mod cursor;
mod queries;

pub use catalog::{Catalog, StartError};
pub use commands::{
    BodyError, ByteStream, CommandPorts, Commands, CreateRecords, CreatedRecords, IngestRecords,
    IngestReport, OnError, Precondition, Return,
};
pub use context::{Context, Stage};
pub use cursor::CursorKey;
pub use error::Error;
pub use limits::Limits;
pub use queries::{
    CountMode, ListRecords, Queries, RecordPage, RecordView, SchemaView, StartAt, StreamRecords,
    StreamView,
};
pub use system::{SystemClock, UuidV7Source};
