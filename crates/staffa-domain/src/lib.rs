//! The vocabulary and the rules of Staffa, and the ports its engines implement.
//!
//! Nothing here does IO, knows a wire format or names an engine. Arrow arrays and
//! schemas are the nouns in which data moves.
#![doc = include_str!("../README.md")]

pub mod error;
pub mod value;

pub mod schema;

pub mod batch;
pub mod record;

pub mod change;

pub mod infer;
pub mod operation;
pub mod query;
pub mod refusal;

pub mod ports;

pub use batch::{DecodedBatch, Given, StampedBatch, ValidBatch, validate, validate_parts};
pub use change::{ChangePlan, Step, StepClass, Transition};
pub use error::{RecordError, RecordErrorCode, StorageError};
pub use operation::{Operation, Outcome, WriteMode, WriteOptions, WriteReceipt};
pub use query::{Count, Field, Filter, Position, RecordQuery, Sort};
pub use record::{RecordId, Timestamp};
pub use refusal::{OnRefusal, Refusal, RefusalReason, Refusals};
pub use schema::{Property, PropertyName, PropertyType, Schema, SchemaName, SchemaSnapshot};
pub use value::Value;
