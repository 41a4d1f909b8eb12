//! Arrow and Parquet: columns by name, each made the type that its property has.

mod convert;
mod expand;
mod gate;
mod list;
mod mapping;
mod pages;
mod parquet;
mod stream;

pub(super) use convert::{Bounds, Flaw, convert};
pub use parquet::ParquetBatches;
pub(super) use parquet::{
    DAMAGED, ParquetDecoder, hold, malformed as malformed_parquet, open_file,
};
pub(super) use stream::{ArrowDecoder, StreamBatches};

use super::{DecodeError, DecodeErrorCode};

fn malformed(why: &str) -> DecodeError {
    DecodeError::new(DecodeErrorCode::MalformedArrow, why)
}
