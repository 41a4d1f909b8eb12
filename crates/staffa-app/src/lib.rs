//! [`Commands`] holds what can write, [`Queries`] only what can read: a caller that is given
//! `Queries` alone cannot change anything.
#![doc = include_str!("../README.md")]

mod body;
mod catalog;
mod changes;
mod context;
mod error;
mod limits;
mod memory;
mod reuse;
mod system;

mod commands;
mod cursor;
mod jobs;
mod once;
mod queries;

pub use body::{BodyError, ByteStream};
pub use catalog::{Catalog, StartError};
pub use changes::Changes;
pub use commands::{
    Affected, BulkMode, CommandPorts, Commands, CreateRecords, CreatedRecords, EvolveSchema,
    EvolvedSchema, IngestRecords, IngestReport, OnError, Precondition, Return, StepResult,
};
pub use context::{Context, Progress, Stage};
pub use cursor::CursorKey;
pub use error::{Error, panic_text, value_json};
pub use jobs::{Failure, Job, JobKind, JobState, Jobs, Tally, TellFailure};
pub use limits::Limits;
pub use memory::{Held, Memory};
pub use once::{
    BodyPacker, Claim, Done, Fingerprint, Kept, KeptBody, KeptPieces, Once, Teller, Told,
};
pub use queries::{
    Checksum, CountMode, ErrorLines, GroupView, InferSchema, ListRecords, Queries, RecordPage,
    RecordView, SampleSize, SchemaView, StartAt, StreamRecords, StreamView, VersionView,
    infer_schema,
};
pub use reuse::reuse_answers;
pub use system::{SystemClock, UuidV7Source};
